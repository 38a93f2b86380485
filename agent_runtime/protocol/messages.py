"""The messages of a conversation, made of blocks, and the token usage of a model call. No I/O.

An assistant message keeps two forms of the same turn: `blocks`, which the rest of the program reads, and `native`,
the provider's own items, unchanged. An adapter that finds its own wire format in `native` sends those items back as
they were received (signatures, encrypted reasoning, hosted-tool blocks); every other adapter encodes the blocks.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from agent_runtime.models.base import BaseModel, ConfigDict, Field
from agent_runtime.models.names import to_camel

WireFormat = Literal["anthropic", "openai-responses", "openai-chat"]

# sent to the model when a tool has printed nothing: providers refuse empty texts
NO_OUTPUT = "(no output)"
MAX_DEPTH = 200  # levels of JSON that are accepted from outside; pydantic serializes at most 255

# the media types of office files, by suffix. Source: OpenAI's guide to file inputs
_OPEN_XML = "application/vnd.openxmlformats-officedocument"
OFFICE = {
    ".docx": f"{_OPEN_XML}.wordprocessingml.document",
    ".pptx": f"{_OPEN_XML}.presentationml.presentation",
    ".xlsx": f"{_OPEN_XML}.spreadsheetml.sheet",
    ".doc": "application/msword",
    ".ppt": "application/vnd.ms-powerpoint",
    ".xls": "application/vnd.ms-excel",
    ".odt": "application/vnd.oasis.opendocument.text",
}
PDF = "application/pdf"
_SUFFIXES = {media_type: suffix for suffix, media_type in OFFICE.items()} | {PDF: ".pdf"}


class Frozen(BaseModel):
    """Base of the models: immutable, without extra fields, camelCase in JSON.

    Validators are built at first use (`defer_build`), which keeps the start-up short.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class Text(Frozen):
    """Plain text from the user or the model."""

    type: Literal["text"] = "text"
    text: str


class Image(Frozen):
    """An image, base64 in `data`."""

    type: Literal["image"] = "image"
    media_type: str
    data: str


class Document(Frozen):
    """A file for models that read its format, base64 in `data`; `path` may be a URI or a name.

    `text` is sent in its place to every other model; `loss` says what of the file it lacks. `pages` may be an estimate.
    """

    type: Literal["document"] = "document"
    media_type: str
    path: str
    data: str
    pages: int
    text: str
    loss: str

    @property
    def name(self) -> str:
        """The name of the file, without its folder and with the suffix of its type, by which OpenAI knows the type."""
        path = self.path.split("?")[0].split("#")[0] if "://" in self.path else self.path
        name = path.rstrip("/").rpartition("/")[2] or "document"
        suffix = _SUFFIXES.get(self.media_type, "")
        return name if name.lower().endswith(suffix) else name + suffix


Content = Text | Image | Document
ContentBlock = Annotated[Content, Field(discriminator="type")]


class Thinking(Frozen):
    """The model's reasoning, as far as the provider returns it. Encrypted and redacted forms are in `native` only."""

    type: Literal["thinking"] = "thinking"
    text: str


class ToolCall(Frozen):
    """A tool call of the model.

    `arguments` is the text as the model wrote it: JSON for a function, anything for a free-form tool. `input` is the
    parsed object, or None when it is not a JSON object; for a free-form tool it is `{"input": arguments}`.
    `truncated` says that the output limit was reached inside the call, which must not be executed.
    """

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: str
    input: dict[str, Any] | None = None
    freeform: bool = False
    truncated: bool = False


class ToolResult(Frozen):
    """The result of a tool call; `content` is what the model receives."""

    type: Literal["tool_result"] = "tool_result"
    id: str
    name: str
    content: tuple[ContentBlock, ...]
    is_error: bool = False
    freeform: bool = False

    @property
    def text(self) -> str:
        """The texts, and the texts of the documents, joined."""
        return "\n".join(part.text for part in self.content if isinstance(part, Text | Document))


UserBlock = Annotated[Text | Image | Document | ToolResult, Field(discriminator="type")]
AssistantBlock = Annotated[Text | Thinking | ToolCall, Field(discriminator="type")]


class Native(Frozen):
    """A turn in the provider's own format.

    `items` are the content blocks of Messages, the output items of Responses, or the one message of Chat Completions.
    """

    format: WireFormat
    model: str
    items: tuple[dict[str, Any], ...]


class UserMessage(Frozen):
    """A message to the model: prompts, user input during the run, tool results."""

    role: Literal["user"] = "user"
    blocks: tuple[UserBlock, ...]

    @classmethod
    def of(cls, text: str) -> UserMessage:
        """Return a message with one text block."""
        return cls(blocks=(Text(text=text),))


class AssistantMessage(Frozen):
    """One turn of the model."""

    role: Literal["assistant"] = "assistant"
    blocks: tuple[AssistantBlock, ...]
    native: Native | None = None

    @property
    def text(self) -> str:
        """The turn's text without its reasoning."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls of this turn, in order."""
        return tuple(block for block in self.blocks if isinstance(block, ToolCall))


Message = Annotated[UserMessage | AssistantMessage, Field(discriminator="role")]


class Usage(Frozen):
    """Tokens of one or several model calls. `input_tokens` includes cached tokens, `output_tokens` the reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input plus output."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            estimated=self.estimated or other.estimated,
        )


def parse_arguments(arguments: str) -> dict[str, Any] | None:
    """Parse the arguments of a function call. An empty string counts as `{}`.

    Returns None when they are not a JSON object, or one that is nested too deeply to be put into an event.
    """
    if not arguments.strip():
        return {}
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    may_be_deep = arguments.count("{") + arguments.count("[") > MAX_DEPTH
    return value if isinstance(value, dict) and not (may_be_deep and too_deep(value)) else None


def too_deep(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Return whether a JSON value is nested more than `levels` deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(too_deep(item, levels - 1) for item in inner)


def clean_text(text: str) -> str:
    """Return the text with lone surrogates replaced by U+FFFD: they cannot be encoded in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # surrogatepass joins surrogate pairs; a surrogate without its partner is replaced
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
