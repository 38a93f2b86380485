"""An image that a provider would refuse is scaled, converted or replaced: it poisons no conversation."""

from __future__ import annotations

import base64
import io
import random

import pytest
from PIL import Image as pillow

from agent_runtime.conversation.image_limits import ImageLimits, UnusableImage, prepare
from agent_runtime.conversation.normalize import normalize
from agent_runtime.protocol.messages import Image, Message, Text, ToolResult
from tests.conversation.messages import call, encoded, model, pdf, picture, user


def size(image: Image) -> tuple[int, int]:
    return pillow.open(io.BytesIO(base64.b64decode(image.data))).size


def noise(width: int, height: int) -> bytes:
    out = io.BytesIO()
    pillow.frombytes("RGB", (width, height), random.Random(0).randbytes(width * height * 3)).save(out, "PNG")
    return out.getvalue()


def test_an_image_within_the_limits_is_unchanged() -> None:
    for kind, media_type in {
        "PNG": "image/png",
        "JPEG": "image/jpeg",
        "GIF": "image/gif",
        "WEBP": "image/webp",
    }.items():
        raw = encoded(kind=kind)
        assert prepare(raw) == Image(media_type=media_type, data=base64.b64encode(raw).decode())


def test_a_large_image_is_scaled_down_and_another_format_converted() -> None:
    assert size(prepare(encoded(5000, 100))) == (1568, 31)
    bitmap = prepare(encoded(kind="BMP"))
    assert (bitmap.media_type, size(bitmap)) == ("image/png", (4, 4))


def test_an_image_with_too_many_bytes_is_scaled_down() -> None:
    raw = noise(1500, 1500)
    assert len(raw) > ImageLimits.image_bytes
    made = prepare(raw)
    assert len(made.data) <= ImageLimits.image_bytes
    assert size(made) == (1500, 1500)


@pytest.mark.parametrize("raw", [b"", b"no image", encoded(400, 400)[:-40], b"<svg/>"])
def test_incomplete_images_are_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(UnusableImage, match="the image"):
        prepare(raw)


def test_a_decompression_bomb_is_refused() -> None:
    header = encoded(10, 10, "GIF")
    bomb = header[:6] + (60000).to_bytes(2, "little") * 2 + header[10:]
    with pytest.raises(UnusableImage):
        prepare(bomb)


def test_a_damaged_image_in_a_history_becomes_a_text() -> None:
    shot = ToolResult(id="c1", name="view_image", content=(Image(media_type="image/png", data="&&"),))
    normalized = normalize([user("look"), model(call(name="view_image")), user(shot)])
    expected = shot.model_copy(
        update={"content": (Text(text="[An image was left out: its base64 is damaged]"),)}
    )
    assert normalized.messages[-1] == user(expected)
    assert normalized.repairs == ("an image that no provider accepts was left out",)


@pytest.mark.parametrize(("width", "kept"), [(ImageLimits.side, True), (ImageLimits.side + 1, False)])
def test_an_image_of_the_largest_side_stays_in_a_history(width: int, kept: bool) -> None:
    message = user("look", picture(width, 9))
    [normalized] = normalize([message]).messages
    assert (normalized == message) is kept


def test_an_oversized_image_in_a_history_is_scaled_down_once() -> None:
    normalized = normalize([user("look", picture(9000, 90))])
    [message] = normalized.messages
    image = message.blocks[1]
    assert isinstance(image, Image)
    assert size(image) == (1568, 16)
    assert normalize(normalized.messages) == type(normalized)(normalized.messages)


def test_a_wrong_media_type_is_corrected() -> None:
    normalized = normalize([user("look", picture(kind="JPEG", media_type="image/png"))])
    assert normalized.messages == (user("look", picture(kind="JPEG", media_type="image/jpeg")),)


def test_only_the_newest_images_are_kept_beyond_the_limit() -> None:
    shots = [picture(width, 4) for width in range(1, 5)]
    normalized = normalize([user(*shots[:2]), model("hm"), user(*shots[2:])], images=ImageLimits(count=3))
    gone = "[An image was left out: too many images; it was one of the older ones]"
    assert normalized.messages == (user(gone, shots[1]), model("hm"), user(*shots[2:]))


def test_the_bytes_of_all_images_are_bounded() -> None:
    shot = picture()
    limits = ImageLimits(total_bytes=len(shot.data) * 2)
    normalized = normalize([user("look", shot, shot, shot)], images=limits)
    assert sum(isinstance(block, Image) for block in normalized.messages[0].blocks) == 2


def test_the_newest_documents_and_images_share_the_bytes_of_a_request() -> None:
    limits = ImageLimits(total_bytes=len(picture().data) + 25)
    history: list[Message] = [user(pdf("A" * 20, "old")), model("ok"), user(pdf("B" * 20, "new"), picture())]
    fitted = normalize(history, images=limits)
    assert fitted.messages == (user("old"), model("ok"), user(pdf("B" * 20, "new"), picture()))
    assert fitted.repairs == ("older documents were sent as their text",)
