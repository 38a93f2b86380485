"""The result of an MCP tool as a tool output: texts and structured content within a limit, images and documents."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from typing import Any

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from agent_runtime import images
from agent_runtime.conversation.attached_files import attach_data
from agent_runtime.errors import ToolError
from agent_runtime.protocol.messages import Content, Document, Image, Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.truncation import OutputStore

MAX_IMAGES = 20  # of the images, and as many documents


def tool_output(result: CallToolResult, *, call_id: str, tokens: int, outputs: OutputStore) -> ToolOutput:
    """Return the output of a call. Blocking: images are decoded, and the text of PDFs is extracted.

    Texts of more than `tokens` are truncated, and the whole is kept in `outputs`; so is the text of each document.
    """
    parts = [*_limited(_parts(result.content)), *_structured(result)]
    text = "\n".join(part.text for part in parts if isinstance(part, Text))
    fitted = outputs.fit(text, tokens=tokens, call_id=call_id)
    if fitted.truncated:
        parts = [Text(text=fitted.text), *(part for part in parts if not isinstance(part, Text))]
    for index, part in enumerate(parts):
        if isinstance(part, Document):
            words = outputs.fit(part.text, tokens=tokens, call_id=call_id).text
            parts[index] = part.model_copy(update={"text": words})
    return ToolOutput(
        content=tuple(parts),
        is_error=result.is_error,
        outcome="failed" if result.is_error else "completed",
        truncated=fitted.truncated,
        output_bytes=fitted.output_bytes if fitted.truncated else None,
        output_file=fitted.output_file,
    )


def _structured(result: CallToolResult) -> Iterator[Text]:
    """Yield the structured content, unless a text already contains it, as servers should do for older clients."""
    if (value := result.structured_content) is None:
        return
    for block in result.content:
        if isinstance(block, TextContent) and _is_same(block.text, value):
            return
    yield Text(text=json.dumps(value, ensure_ascii=False))


def _is_same(text: str, value: Any) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    return found == value or (isinstance(value, dict) and list(value.values()) in ([found], [text]))


def _parts(content: Iterable[Any]) -> Iterator[Content]:
    for block in content:
        match block:
            case TextContent():
                yield Text(text=block.text)
            case ImageContent():
                yield from _image(block.data, block.mime_type, "image")
            case AudioContent():
                yield Text(text=f"[audio, {block.mime_type}, {_size(block.data)} bytes: not passed on]")
            case ResourceLink():
                about = f": {block.description}" if block.description else ""
                kind = f" ({block.mime_type})" if block.mime_type else ""
                yield Text(text=f"[resource {block.name}{kind}: {block.uri}{about}]")
            case EmbeddedResource():
                yield from _resource(block.resource)


def _resource(resource: TextResourceContents | BlobResourceContents) -> Iterator[Content]:
    if isinstance(resource, TextResourceContents):
        yield Text(text=f"[resource {resource.uri}]\n{resource.text}")
    elif (resource.mime_type or "").startswith("image/"):
        yield from _image(resource.blob, resource.mime_type or "", str(resource.uri))
    else:
        try:
            data = base64.b64decode("".join(resource.blob.split()), validate=True)
        except ValueError:
            yield Text(text=f"[resource {resource.uri}: left out, because it is not valid base64]")
        else:
            yield attach_data(str(resource.uri), resource.mime_type or "", data).block


def _image(data: str, media_type: str, title: str) -> Iterator[Text | Image]:
    """Yield the image in a form that models accept, or a note that says why it is left out."""
    try:
        yield images.load(base64.b64decode(data, validate=False), title).image
    except binascii.Error:
        yield Text(text=f"[{title}, {media_type}: left out, because it is not valid base64]")
    except ToolError as error:
        yield Text(text=f"[{title}, {media_type}: left out. {error}]")


def _limited(parts: Iterable[Content]) -> Iterator[Content]:
    counts = {Image: 0, Document: 0}
    for part in parts:
        if isinstance(part, Text):
            yield part
            continue
        counts[type(part)] += 1
        if counts[type(part)] <= MAX_IMAGES:
            yield part
    for kind, count in counts.items():
        if count > MAX_IMAGES:
            yield Text(text=f"[{count - MAX_IMAGES} more {kind.__name__.lower()}s were left out]")


def _size(data: str) -> int:
    return len(data) * 3 // 4
