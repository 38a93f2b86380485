"""Images and documents in requests: images are converted when they are read, both are counted when they are sent.

Pillow is imported only where there is an image. An image that cannot be sent is replaced by a text that says so: one
invalid image would make every later call of a conversation fail.
"""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Callable, Sequence

from agent_runtime.conversation.documents import has_document
from agent_runtime.images import SENT, load
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import (
    Content,
    Document,
    Image,
    Message,
    Text,
    ToolResult,
    UserBlock,
    UserMessage,
)


@dataclass(frozen=True)
class ImageLimits:
    """The images and documents that a request may carry, by the strictest provider; beyond that the newest are kept.

    Source: Anthropic's vision guide (100 images and 32 MB a request, 5 MB an image, 2000 pixels a side where
    there are more than 20).
    """

    count: int = 90
    total_bytes: int = 20 << 20  # of base64, images and documents
    image_bytes: int = 5 << 20  # of base64
    side: int = 2000  # pixels


class UnusableImage(ValueError):
    """An image that no provider would accept; the message gives the reason to the model or the caller."""


def prepare(raw: bytes) -> Image:
    """An image block from the bytes of a file: decoded once as a whole, scaled down or converted where necessary.

    Raises:
        UnusableImage: it is not an image, is damaged, or is too large to be scaled.
    """
    try:
        return load(raw, "the image").image
    except Exception as error:  # for damaged files, Pillow's decoders raise exceptions of many types
        raise UnusableImage(str(error)) from error


def fit_media(messages: Sequence[Message], limits: ImageLimits, note: Callable[[str], None]) -> list[Message]:
    """The messages with their newest images and documents inside the limits; the others are replaced by a text."""
    budget = _Budget(limits, note)
    fitted: list[Message] = []
    for message in reversed(messages):
        fitted.append(_replace(message, budget.image, budget.document) if has_media(message) else message)
    return fitted[::-1]


def has_image(message: Message) -> bool:
    """Return whether the message contains an image, of the user or in a tool's result."""
    return isinstance(message, UserMessage) and any(map(_images, message.blocks))


def has_media(message: Message) -> bool:
    """Return whether the message contains an image or a document."""
    return has_image(message) or has_document(message)


def left_out(message: Message, reason: str) -> Message:
    """The message with a text in the place of each of its images."""
    return _replace(message, lambda image: _absent(reason), lambda document: document)


class _Budget:
    def __init__(self, limits: ImageLimits, note: Callable[[str], None]) -> None:
        self._limits = limits
        self._note = note
        self._count = 0
        self._bytes = 0

    def document(self, document: Document) -> Document | Text:
        if self._bytes + len(document.data) > self._limits.total_bytes:
            self._note("older documents were sent as their text")
            return Text(text=document.text)
        self._bytes += len(document.data)
        return document

    def image(self, image: Image) -> Image | Text:
        if self._count >= self._limits.count or self._bytes >= self._limits.total_bytes:
            self._note("older images were left out")
            return _absent("too many images; it was one of the older ones")
        try:
            fit = _check(image, self._limits)
        except UnusableImage as error:
            self._note("an image that no provider accepts was left out")
            return _absent(str(error))
        if fit is not image:
            self._note("an image was converted to a form that providers accept")
        self._count += 1
        self._bytes += len(fit.data)
        return fit


def _check(image: Image, limits: ImageLimits) -> Image:
    # the header only: `prepare` has decoded the image, and this runs before each model call
    from PIL import Image as pillow

    try:
        raw = base64.b64decode(image.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableImage("its base64 is damaged") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            picture = pillow.open(io.BytesIO(raw))
    except Exception as error:
        raise UnusableImage(f"it is damaged or not an image: {error}") from error
    media_type = SENT.get(picture.format or "")
    if media_type is None or max(picture.size) > limits.side or len(image.data) > limits.image_bytes:
        return prepare(raw)
    return image if media_type == image.media_type else image.model_copy(update={"media_type": media_type})


def _absent(reason: str) -> Text:
    return Text(text=f"[An image was left out: {reason}]")


def _images(block: UserBlock) -> bool:
    return isinstance(block, Image) or (
        isinstance(block, ToolResult) and any(isinstance(part, Image) for part in block.content)
    )


def _replace(
    message: Message, fit: Callable[[Image], Image | Text], shorten: Callable[[Document], Document | Text]
) -> Message:
    # backwards: the newest of a message is counted first
    if not isinstance(message, UserMessage):
        return message

    def replaced(part: Content) -> Content:
        if isinstance(part, Image):
            return fit(part)
        return shorten(part) if isinstance(part, Document) else part

    blocks: list[UserBlock] = []
    for block in reversed(message.blocks):
        if isinstance(block, ToolResult):
            parts = [replaced(part) for part in reversed(block.content)]
            blocks.append(block.model_copy(update={"content": tuple(reversed(parts))}))
        else:
            blocks.append(replaced(block))
    return message.model_copy(update={"blocks": tuple(reversed(blocks))})
