"""Images in a form that models accept: a common format, complete, and small enough for the next request.

Anthropic recommends a long edge of 1,568 pixels, and accepts 5 MB of base64, and 2,000 pixels in requests with many
images; OpenAI scales to less. Both accept PNG, JPEG, GIF and WebP.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING
from zlib import crc32

from agent_runtime.errors import ToolError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LONG_EDGE = 1_568  # pixels
MAX_BYTES = 3_500_000  # of the image; base64 needs a third more
MAX_PIXELS = 64_000_000  # decoded, four bytes each; more may be a decompression bomb
MAX_FILE = 64 << 20
SENT = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_READ = (
    *SENT,
    "BMP",
    "TIFF",
    "ICO",
    "PPM",
)  # excludes formats for which Pillow starts other programs, such as EPS
_PNG = b"\x89PNG\r\n\x1a\n"
_HEADS = (
    _PNG,
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x01\x00",
)
_CONTROL = lazy_pattern(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")  # bytes that no text has


@dataclass(frozen=True)
class Loaded:
    """An image to send, and what was done to it."""

    image: Image
    note: str


def looks_like_image(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of an image.

    The signatures of some formats are letters, and count only together with bytes that no text has.
    """
    signed = head.startswith(_HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    return signed and has_control_bytes(head)


def has_control_bytes(head: bytes) -> bool:
    """Return whether the first bytes of a file have control characters that no text has."""
    return _CONTROL.search(head[:4_096]) is not None


def load(data: bytes, display: str) -> Loaded:
    """Return the image in these bytes, converted and scaled down where needed.

    Raises ToolError with the reason when it is broken, of an unknown format, or too large.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    data = _without_broken_extras(data)
    try:
        with Pillow.open(io.BytesIO(data), formats=_READ) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise ToolError(
                    f"{display}: an image of {width}x{height} pixels is too large to be shown; scale it "
                    "down first."
                )
            picture.verify()  # checksums and the end of the file, which load() does not check
        with Pillow.open(io.BytesIO(data), formats=_READ) as picture:
            return _load(data, picture, display)
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise ToolError(
            f"{display}: the image is too large to be shown; scale it down first ({error})."
        ) from error
    except UnidentifiedImageError as error:
        raise ToolError(f"{display} is not an image that can be read ({len(data):,} bytes).") from error
    except ToolError:
        raise
    except Exception as error:  # its decoders raise struct.error, zlib.error and others
        raise ToolError(f"{display}: the image is broken ({error}).") from error


def _without_broken_extras(data: bytes) -> bytes:
    """Return a PNG without its optional chunks whose checksum is wrong, which viewers ignore and Pillow does not."""
    if not data.startswith(_PNG):
        return data
    kept, at = bytearray(_PNG), len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        is_optional = data[at + 4] & 0x20  # a lower-case letter
        if not is_optional or crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end]):
            kept += data[at:end]
        at = end
    return bytes(kept + data[at:])


def _load(data: bytes, picture: Picture, display: str) -> Loaded:
    from PIL import ImageOps

    kind, (width, height) = picture.format or "image", picture.size
    frames = int(getattr(picture, "n_frames", 1))
    picture.load()  # all of it: the provider would refuse half an image
    upright = picture.getexif().get(0x0112, 1) == 1
    title = f"{display}: {kind} image, {width}x{height} pixels"
    if (
        kind in SENT
        and frames == 1
        and upright
        and picture.mode != "CMYK"  # not every decoder accepts it
        and max(width, height) <= LONG_EDGE
        and len(data) <= MAX_BYTES
    ):
        return Loaded(_image(SENT[kind], data), title)
    turned = ImageOps.exif_transpose(picture)
    small = _scaled(turned)
    media_type, encoded = _encoded(small)
    note = title + (f", the first of {frames} frames" if frames > 1 else "")
    if small.size != (width, height):
        note += f", shown at {small.width}x{small.height}"
    return Loaded(_image(media_type, encoded), note)


def _scaled(picture: Picture) -> Picture:
    modes = {
        "1": "L",
        "P": "RGBA",
        "PA": "RGBA",
        "LA": "RGBA",
        "I;16": "L",
        "I": "L",
        "F": "L",
        "CMYK": "RGB",
        "YCbCr": "RGB",
    }
    if picture.mode.startswith("I;16"):
        picture = picture.point(lambda value: value / 256).convert("L")
    plain = picture.convert(
        modes.get(picture.mode, picture.mode if picture.mode in ("L", "RGB", "RGBA") else "RGB")
    )
    scale = LONG_EDGE / max(plain.size)
    if scale >= 1:
        return plain
    return plain.resize((max(1, round(plain.width * scale)), max(1, round(plain.height * scale))))


def _encoded(picture: Picture) -> tuple[str, bytes]:
    """PNG where that is small enough, else JPEG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    if out.tell() <= MAX_BYTES:
        return "image/png", out.getvalue()
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=85)  # noise of that many pixels has 2 MB
    return "image/jpeg", out.getvalue()


def _image(media_type: str, data: bytes) -> Image:
    return Image(media_type=media_type, data=base64.b64encode(data).decode())
