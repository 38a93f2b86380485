"""The content of an ACP prompt as the prompt and the parts of a request, and MCP servers in the form of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from acp.exceptions import RequestError
from acp.schema import (
    BlobResourceContents,
    EmbeddedResourceContentBlock,
    HttpMcpServer,
    ImageContentBlock,
    McpServerStdio,
    ResourceContentBlock,
    TextContentBlock,
    TextResourceContents,
)

Json = dict[str, Any]

_ATTACHED = "See the attached content."  # the prompt of a message without a text


def request_message(blocks: Sequence[Any]) -> tuple[str, list[Json]]:
    """Return the prompt and the parts of a message. Raises acp's RequestError, which names the block."""
    texts: list[str] = []
    parts: list[Json] = []
    for number, block in enumerate(blocks):
        if isinstance(block, TextContentBlock):
            texts.append(block.text)
        elif isinstance(block, ImageContentBlock):
            parts.append({"type": "image", "mediaType": block.mime_type, "data": block.data})
        elif isinstance(block, ResourceContentBlock):
            texts.append(_reference(block.uri))
        elif isinstance(block, EmbeddedResourceContentBlock):
            parts.append(_embedded(block.resource))
        else:
            what = "expected text, an image, a resource link or an embedded resource"
            raise RequestError.invalid_params({"field": f"prompt[{number}]", "message": what})
    prompt = "\n".join(texts)
    if not prompt.strip() and not parts:
        raise RequestError.invalid_params(
            {"field": "prompt", "message": "expected a message that is not empty"}
        )
    return (prompt if prompt.strip() else _ATTACHED), parts


def _embedded(resource: TextResourceContents | BlobResourceContents) -> Json:
    if isinstance(resource, TextResourceContents):
        return {"type": "text", "text": f'<file uri="{resource.uri}">\n{resource.text}\n</file>'}
    media_type = resource.mime_type or "application/octet-stream"
    return {"type": "file", "name": _reference(resource.uri), "mediaType": media_type, "data": resource.blob}


def _reference(uri: str) -> str:
    """Return a reference that the model can follow: the path of a file, or the URI."""
    try:
        url = urlsplit(uri)
    except ValueError:
        return uri
    return unquote(url.path) if url.scheme == "file" else uri


def mcp_servers(servers: Iterable[Any]) -> Json:
    """Return the servers of a session as the `mcpServers` of a request. Raises acp's RequestError."""
    found: Json = {}
    for number, server in enumerate(servers):
        if isinstance(server, McpServerStdio):
            env = {each.name: each.value for each in server.env}
            found[server.name] = {"command": server.command, "args": list(server.args), "env": env}
        elif isinstance(server, HttpMcpServer):
            headers = {each.name: each.value for each in server.headers}
            found[server.name] = {"type": "http", "url": server.url, "headers": headers}
        else:
            what = 'expected a server on stdio or of the type "http"'
            raise RequestError.invalid_params({"field": f"mcpServers[{number}]", "message": what})
    return found
