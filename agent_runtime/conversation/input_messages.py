"""Reads the `messages` of a request, checking every part.

`content` is a text or a list of parts, `parts` is a list of further parts. A user's parts are texts, images and files;
an assistant's are texts. The text of `system` (or `developer`) messages is returned separately: it belongs to the
system prompt.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_runtime.conversation.attached_files import Attached, attach, attach_data, read_file
from agent_runtime.conversation.image_limits import UnusableImage, prepare
from agent_runtime.errors import RequestError
from agent_runtime.images import MAX_FILE
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import (
    AssistantMessage,
    Content,
    Image,
    Message,
    Text,
    UserMessage,
    clean_text,
)

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
_PARTS = 'expected an object with type "text", "image" or "file"'


@dataclass(frozen=True)
class InputMessages:
    """A caller's history.

    Attributes:
        messages: its messages.
        system: the text of its system messages; may be empty.
        notices: which parts of the attached files no model receives.
    """

    messages: list[Message]
    system: str
    notices: tuple[str, ...] = ()


def read_task(prompt: str, parts: Sequence[Any], *, workspace: Path) -> tuple[UserMessage, tuple[str, ...]]:
    """Return the message of a prompt with parts, and the notices about its files. Blocking: it reads files.

    Raises:
        RequestError: a part is not valid; names it.
    """
    reader = _Reader("", workspace, texts_only=False)
    blocks = reader.parts("parts", list(parts))
    return UserMessage(blocks=(Text(text=clean_text(prompt)), *blocks)), tuple(reader.notices)


def read_messages(
    raw: Sequence[Any], *, workspace: Path, prompt: str | None = None, parts: Sequence[Any] = ()
) -> InputMessages:
    """The messages of a request. Blocking: it reads files.

    Args:
        raw: the decoded JSON of `messages`.
        workspace: what relative paths are relative to.
        prompt: the request's `prompt`, which becomes the next user message.
        parts: the request's `parts`, which belong to the prompt.

    Raises:
        RequestError: naming the part, such as `messages[3].content[0].data`.
    """
    messages: list[Message] = []
    system: list[str] = []
    notices: list[str] = []
    for index, item in enumerate(raw):
        field = f"messages[{index}]"
        if not isinstance(item, Mapping):
            raise RequestError(field, f"expected an object with `role` and `content`, got {_kind(item)}")
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise RequestError(f"{field}.role", f'expected "user", "assistant" or "system", got {role!r:.40}')
        reader = _Reader(field, workspace, texts_only=role != "user")
        blocks = reader.blocks(item)
        notices += reader.notices
        if role == "user":
            messages.append(UserMessage(blocks=tuple(blocks)))
        elif role == "assistant":
            messages.append(AssistantMessage(blocks=tuple(b for b in blocks if isinstance(b, Text))))
        else:
            system += [block.text for block in blocks if isinstance(block, Text)]
    if prompt is not None:
        task, more = read_task(prompt, parts, workspace=workspace)
        messages.append(task)
        notices += more
    messages = [message for message in messages if not all(map(_is_blank, message.blocks))]
    if not messages or not isinstance(messages[-1], UserMessage):
        raise RequestError(
            "messages", "expected a last message of the user that is not empty; or give `prompt`"
        )
    return InputMessages(messages, "\n\n".join(system).strip(), tuple(notices))


class _Reader:
    def __init__(self, field: str, workspace: Path, *, texts_only: bool) -> None:
        self._field = field
        self._workspace = workspace
        self._texts_only = texts_only
        self.notices: list[str] = []

    def blocks(self, item: Mapping[str, Any]) -> list[Content]:
        content, parts = item.get("content"), item.get("parts")
        if content is None and parts is None:
            raise RequestError(f"{self._field}.content", "expected a text or a list of parts")
        blocks: list[Content] = []
        if isinstance(content, str):
            blocks.append(Text(text=clean_text(content)))
        elif content is not None:
            blocks += self.parts(f"{self._field}.content", content)
        if parts is not None:  # some callers give the text of a message twice, as `content` and as a part
            blocks += [block for block in self.parts(f"{self._field}.parts", parts) if block not in blocks]
        return blocks

    def parts(self, field: str, parts: Any) -> list[Content]:
        """Return the blocks of a list of parts; `field` names it in errors."""
        if not isinstance(parts, list):
            raise RequestError(field, f"expected a text or a list of parts, got {_kind(parts)}")
        return [self._part(f"{field}[{index}]", part) for index, part in enumerate(parts)]

    def _part(self, field: str, part: Any) -> Content:
        if isinstance(part, str):
            return Text(text=clean_text(part))
        if not isinstance(part, Mapping):
            raise RequestError(field, f"{_PARTS}, got {_kind(part)}")
        kind = part.get("type")
        if kind == "text":
            return Text(text=clean_text(_string(field, part, "text")))
        if kind not in ("image", "file"):
            raise RequestError(f"{field}.type", f'expected "text", "image" or "file", got {kind!r:.40}')
        if self._texts_only:
            raise RequestError(
                f"{field}.type", f'expected "text", the only type in a message of this role, got "{kind}"'
            )
        return self._image(field, part) if kind == "image" else self._file(field, part)

    def _image(self, field: str, part: Mapping[str, Any]) -> Image:
        if part.get("data") is None:
            if part.get("path") is None:
                raise RequestError(field, "expected `data` (base64) or `path` of the image")
            path = self._path(field, part)
            return _prepared(f"{field}.path", read_file(f"{field}.path", path, MAX_FILE))
        media_type, raw = _data(field, part)
        if not media_type.startswith("image/"):
            raise RequestError(
                f"{field}.mediaType", f'expected an image type such as "image/png", got {media_type!r:.40}'
            )
        return _prepared(f"{field}.data", raw)

    def _file(self, field: str, part: Mapping[str, Any]) -> Content:
        if part.get("data") is not None:
            media_type, raw = _data(field, part)
            if media_type.startswith("image/"):
                return _prepared(f"{field}.data", raw)
            name = _string(field, part, "name") if part.get("name") is not None else "attachment"
            return self._noticed(attach_data(clean_text(name), media_type, raw))
        path = self._path(field, part)
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            return _prepared(f"{field}.path", read_file(f"{field}.path", path, MAX_FILE))
        return self._noticed(attach(f"{field}.path", path))

    def _noticed(self, attached: Attached) -> Content:
        if attached.notice:
            self.notices.append(attached.notice)
        return attached.block

    def _path(self, field: str, part: Mapping[str, Any]) -> Path:
        path = _string(field, part, "path")
        if not path or "\0" in path:
            raise RequestError(f"{field}.path", "expected the path of a file")
        return self._workspace / clean_text(path)


def _data(field: str, part: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the media type and the bytes of a part with `data`: base64, or a data URL of it."""
    data = _string(field, part, "data")
    media_type = part.get("mediaType", part.get("media_type"))
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        media_type = head.removeprefix("data:").partition(";")[0] or media_type
    if not isinstance(media_type, str):
        raise RequestError(
            f"{field}.mediaType", f'expected a type such as "image/png", got {_kind(media_type)}'
        )
    try:
        return media_type, base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{field}.data", f"expected base64: {error}") from error


def _prepared(field: str, raw: bytes) -> Image:
    try:
        return prepare(raw)
    except UnusableImage as error:
        raise RequestError(field, f"expected an image that a model can take: {error}") from error


def _string(field: str, part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{field}.{name}", f"expected a string, got {_kind(value)}")
    return value


def _is_blank(block: object) -> bool:
    return isinstance(block, Text) and not block.text.strip()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
