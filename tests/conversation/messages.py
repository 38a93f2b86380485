"""Short words for conversations in tests."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from PIL import Image as pillow

from agent_runtime.protocol.messages import (
    AssistantMessage,
    Document,
    Image,
    Native,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
    WireFormat,
)


def user(*blocks: str | Image | Document | ToolResult) -> UserMessage:
    return UserMessage(blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks))


def model(*blocks: str | Thinking | ToolCall, native: Native | None = None) -> AssistantMessage:
    return AssistantMessage(
        blocks=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks), native=native
    )


def call(id: str = "c1", name: str = "bash", **input: Any) -> ToolCall:
    return ToolCall(id=id, name=name, arguments=json.dumps(input), input=input)


def result(id: str = "c1", text: str = "done", name: str = "bash", *, is_error: bool = False) -> ToolResult:
    return ToolResult(id=id, name=name, content=(Text(text=text),), is_error=is_error)


def native(*items: dict[str, Any], format: WireFormat = "anthropic", model: str = "m") -> Native:
    return Native(format=format, model=model, items=items)


def encoded(width: int = 4, height: int = 4, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    pillow.new("RGB", (width, height), "red").save(out, kind)
    return out.getvalue()


def pdf(data: str = "JVBERi0=", text: str = "the text", pages: int = 1) -> Document:
    return Document(
        media_type="application/pdf", path="/w/a.pdf", data=data, pages=pages, text=text, loss="no images"
    )


def picture(width: int = 4, height: int = 4, kind: str = "PNG", media_type: str = "image/png") -> Image:
    return Image(media_type=media_type, data=base64.b64encode(encoded(width, height, kind)).decode())
