"""Finds what to leave out of a history that a provider refused with status 400, by its message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from agent_runtime.conversation.documents import as_text, has_document
from agent_runtime.conversation.image_limits import has_image, left_out
from agent_runtime.conversation.normalize import NormalizedHistory, normalize
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import AssistantMessage, Message, Text, ToolResult

_IMAGES_OUT = "images that the provider refused were left out"
_DOCUMENTS_OUT = "documents that the provider refused were sent as their text"
_NATIVE_OUT = "turns that the provider refused in its own form were sent as their blocks"

# `messages.3.content.0`, `messages[3]`, `input[5].id`, `assistant tool call message at index 2`
_PLACE = lazy_pattern(r"\b(messages|input|contents)(?:\.\[?|\[)(\d+)|\bmessage at index (?P<index>\d+)", re.I)
_ITEM = lazy_pattern(r"\b(?:rs|fc|ctc|msg|ws|ig|toolu|srvtoolu|call)_[\w-]+")
# what concerns tools or parameters, although it may speak of images, items or thinking
_NOT_HISTORY = lazy_pattern(
    r"^[\s\"'`]*(?:(?:tools|tool_choice|output_config|system|max_tokens|include|reasoning_effort)\b|"
    r"(?:thinking|reasoning)[.:])|"
    r"invalid schema|\bproperties\b|\binput_schema\b|function_declarations|\bfunction ['\"`]",
    re.I,
)
_IMAGE = lazy_pattern(
    r"\bimages?\b.{0,80}(?:invalid|corrupt|damaged|exceed|too (?:large|big|many|small)|could not|cannot|unable|"
    r"unsupported|not (?:supported|valid|allowed)|failed)|"
    r"(?:invalid|corrupt|damaged|unsupported|could not|cannot|unable to|failed to|not a valid).{0,60}"
    r"\b(?:images?|media_type)\b|\bimage\.source\b|\bimage_url\b",
    re.I | re.S,
)
_DOCUMENT = lazy_pattern(r"\bpdfs?\b|\bdocuments?\b|\bfile_data\b|\binput_file\b|\bfiles?\b|base64", re.I)
_NATIVE = lazy_pattern(
    r"signature.{0,60}(?:thinking|thought|reasoning)|(?:thinking|thought|reasoning).{0,60}signature|"
    r"\bthinking[`'\"]? blocks?\b|redacted_thinking|encrypted[ _]content|"
    r"\bitem\b.{0,120}(?:not found|without its required)|of type ['\"`]?reasoning|reasoning item|"
    r"no tool (?:output|call) found|tool_use.{0,120}tool_result|tool_result.{0,120}tool_use|thought_?signature",
    re.I | re.S,
)


@dataclass(frozen=True)
class Rejection:
    """Why a history was refused.

    message: the provider's message.
    param: the parameter that it names; empty when it names none.
    has_system: whether the request has a system prompt, which counts as a message in Chat Completions.
    """

    message: str
    param: str = ""
    has_system: bool = True


def drop_rejected(
    messages: Sequence[Message], rejection: Rejection, *, everywhere: bool = False
) -> NormalizedHistory | None:
    """Return the history without what was refused; None when the message does not name a part of it.

    Args:
        messages: the history, normalized.
        rejection: names a place, or a kind only: a document, an image, or the native form of a turn.
        everywhere: leave out all of that kind, although a place is named.
    """
    words = f"{rejection.param} {rejection.message}".strip()
    if _NOT_HISTORY.search(words):
        return None
    place = _PLACE.search(words)
    if _DOCUMENT.search(words) and any(map(has_document, messages)):
        suspects, repair = [has_document(message) for message in messages], _DOCUMENTS_OUT
    elif _IMAGE.search(words):
        suspects, repair = [has_image(message) for message in messages], _IMAGES_OUT
    elif place or _NATIVE.search(words):
        suspects, repair = [_is_native(message) for message in messages], _NATIVE_OUT
    else:
        return None
    if not any(suspects):
        return None
    named = _named(messages, rejection, words)
    if not everywhere and any(suspect and index in named for index, suspect in enumerate(suspects)):
        suspects = [suspect and index in named for index, suspect in enumerate(suspects)]
    drop = _DROP[repair]
    kept = [
        drop(message) if suspect else message for message, suspect in zip(messages, suspects, strict=True)
    ]
    normalized = normalize(kept)
    return NormalizedHistory(normalized.messages, (repair, *normalized.repairs))


def names_history(words: str) -> bool:
    """Return whether a refusal is about the content of the history: leaving out a parameter cannot help then."""
    return bool((_PLACE.search(words) or _NATIVE.search(words)) and not _NOT_HISTORY.search(words))


def _is_native(message: Message) -> bool:
    return isinstance(message, AssistantMessage) and message.native is not None


def _drop_native(message: Message) -> Message:
    return message.model_copy(update={"native": None})


def _drop_images(message: Message) -> Message:
    return left_out(message, "the provider refused it")


_DROP: dict[str, Callable[[Message], Message]] = {
    _DOCUMENTS_OUT: as_text,
    _IMAGES_OUT: _drop_images,
    _NATIVE_OUT: _drop_native,
}


def _named(messages: Sequence[Message], rejection: Rejection, words: str) -> set[int]:
    """The positions of the messages that the provider names, by an item's id or by a place in the request."""
    ids = set(_ITEM.findall(words))
    by_id = {index for index, message in enumerate(messages) if ids & set(_ids(message))}
    place = _PLACE.search(words)
    if by_id or place is None:
        return by_id
    root, number = (place[1] or "messages").lower(), int(place[2] or place["index"])
    if place[0].lower().startswith("messages.") and "[" not in place[0]:
        return {number}  # Messages: one entry for each of ours
    start = 1 if root == "messages" and rejection.has_system else 0
    for index, message in enumerate(messages):
        start += _entries(message, responses=root == "input")
        if number < start:
            return {index}
    return set()


def _ids(message: Message) -> Iterator[str]:
    if isinstance(message, AssistantMessage):
        yield from (call.id for call in message.calls)
        for item in message.native.items if message.native else ():
            yield str(item.get("id"))
            yield str(item.get("call_id"))


def _entries(message: Message, *, responses: bool) -> int:
    """Return the number of entries that a message becomes in a request, in Chat Completions or in Responses."""
    if isinstance(message, AssistantMessage):
        if not responses:
            return 1
        return len(message.native.items) if message.native else len(message.blocks)
    results = [block for block in message.blocks if isinstance(block, ToolResult)]
    has_media = any(not isinstance(part, Text) for result in results for part in result.content)
    return len(results) + (len(results) < len(message.blocks) or (has_media and not responses))
