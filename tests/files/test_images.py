"""Images are sent in a form that providers accept, or refused with a reason."""

from __future__ import annotations

import base64
import io
import random
import struct
import zlib

import pytest
from PIL import Image as Pillow

from agent_runtime.errors import ToolError
from agent_runtime.protocol.messages import Image, Text
from agent_runtime.protocol.tool_output import ToolOutput
from tests.files.editor_fixture import EditorFixture

pytestmark = pytest.mark.anyio


def encoded(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, size, 1).save(out, kind, **options)
    return out.getvalue()


def sent(output: ToolOutput) -> tuple[str, bytes, str]:
    note, image = output.content
    assert isinstance(note, Text)
    assert isinstance(image, Image)
    return image.media_type, base64.b64decode(image.data), note.text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_small_image_is_sent_unchanged(editor: EditorFixture, kind: str) -> None:
    data = encoded(kind, (40, 30))
    editor.put(image=data)
    expected = (f"image/{kind.lower()}", data, f"image: {kind} image, 40x30 pixels")
    assert sent(await editor.files.image("image")) == expected
    assert sent(await editor.files.read("image", tokens=100)) == expected


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (encoded("PNG", (5000, 2500)), (1568, 784)),
        (encoded("PNG", (9000, 2)), (1568, 1)),
        (encoded("BMP", (30, 20)), (30, 20)),
        (encoded("TIFF", (30, 20), "CMYK"), (30, 20)),
        (encoded("JPEG", (30, 20), "CMYK"), (30, 20)),
        (encoded("PNG", (2000, 20), "I;16"), (1568, 16)),
        (encoded("PNG", (2000, 2000), "P"), (1568, 1568)),
        (encoded("PNG", (2000, 2000), "1"), (1568, 1568)),
    ],
)
async def test_other_images_are_converted_and_scaled(
    editor: EditorFixture, data: bytes, size: tuple[int, int]
) -> None:
    editor.put(image=data)
    media_type, image, _ = sent(await editor.files.image("image"))
    with Pillow.open(io.BytesIO(image)) as picture:
        assert (media_type, picture.size) == ("image/png", size)


async def test_an_image_that_does_not_compress_becomes_a_jpeg(editor: EditorFixture) -> None:
    noise = Pillow.frombytes("RGB", (1500, 1500), random.Random(1).randbytes(1500 * 1500 * 3))
    noise.save(editor.folder / "noise.png")
    media_type, image, _ = sent(await editor.files.image("noise.png"))
    assert media_type == "image/jpeg"
    assert len(base64.b64encode(image)) < 5_000_000


async def test_animations_and_rotated_photographs(editor: EditorFixture) -> None:
    frames = [Pillow.new("RGB", (20, 10), color) for color in ("red", "blue")]
    frames[0].save(editor.folder / "a.gif", save_all=True, append_images=frames[1:])
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    frames[0].save(editor.folder / "b.jpg", exif=exif)
    media_type, _, note = sent(await editor.files.image("a.gif"))
    assert (media_type, note) == ("image/png", "a.gif: GIF image, 20x10 pixels, the first of 2 frames")
    _, turned, _ = sent(await editor.files.image("b.jpg"))
    with Pillow.open(io.BytesIO(turned)) as picture:
        assert picture.size == (10, 20)


async def test_sixteen_bit_images_are_converted(editor: EditorFixture) -> None:
    Pillow.new("I;16", (20, 10), 0x8000).save(editor.folder / "grey.png")
    Pillow.new("CMYK", (20, 10), (0, 255, 255, 0)).save(editor.folder / "red.tif")
    Pillow.new("I;16", (2_000, 10), 0x8000).save(editor.folder / "large.png")
    for name, colour in (("large.png", (128,) * 3), ("red.tif", (255, 0, 0))):
        _, image, _ = sent(await editor.files.image(name))
        with Pillow.open(io.BytesIO(image)) as picture:
            assert picture.convert("RGB").getpixel((3, 3)) == colour
    assert sent(await editor.files.image("grey.png"))[1] == (editor.folder / "grey.png").read_bytes()


async def test_a_file_too_large_for_an_image_is_refused(editor: EditorFixture) -> None:
    with (editor.folder / "image").open("wb") as file:
        file.write(encoded("PNG", (40, 30)))
        file.truncate((64 << 20) + 1)
    with pytest.raises(ToolError, match="at most 67,108,864 are accepted here"):
        await editor.files.image("image")


def bomb(edge: int) -> bytes:
    """The header of a square PNG with an edge of so many pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1_000))
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded("PNG", (400, 400))[:-40], "broken"),
        (encoded("PNG", (40, 40))[:-12], "broken"),  # no IEND: Pillow shows it, a provider does not
        (encoded("JPEG", (400, 400))[:300], "broken"),
        (encoded("JPEG", (400, 400))[:-500], "broken"),
        (b"\x89PNG\r\n\x1a\n" + b"junk" * 20, "not an image that can be read|broken"),
        (bomb(8_500), "too large to be shown"),
        (bomb(30_000), "too large to be shown"),
        (encoded("EPS", (40, 30)), "not an image that can be read"),  # Pillow would start Ghostscript on it
        (b"text\n", "not an image that can be read"),
        (b"", "not an image that can be read"),
    ],
)
async def test_invalid_images_are_refused_with_a_reason(
    editor: EditorFixture, data: bytes, said: str
) -> None:
    editor.put(image=data)
    with pytest.raises(ToolError, match=said):
        await editor.files.image("image")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "ICO"])
async def test_a_damaged_image_is_sent_whole_or_refused(editor: EditorFixture, kind: str) -> None:
    rng = random.Random(kind)
    whole = encoded(kind, (60, 40))
    outcomes = set()
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        editor.put(image=bytes(data))
        try:
            _, image, _ = sent(await editor.files.image("image"))
        except ToolError:
            outcomes.add("refused")
            continue
        outcomes.add("sent")
        with Pillow.open(io.BytesIO(image)) as picture:
            picture.load()
    assert "sent" in outcomes
