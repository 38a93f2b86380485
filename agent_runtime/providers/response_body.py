"""What a provider's body may be in the place of the events that were asked for, under status 200.

Gateways send errors, whole answers and pages that way, whatever their content type says; a decoder of events finds
nothing in them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2

from agent_runtime.providers.errors import cut, map_error

_MOST = 64 << 20  # bytes of a body that is no stream
_NO_STREAM = "the provider answered with no stream of events"


async def whole_or_events(response: httpx2.Response) -> tuple[str, AsyncIterator[bytes]]:
    """The JSON text of an answer that came whole; otherwise no text, and the body of a stream with nothing lost.

    Raises ProviderError for a body that complains, and for one that is neither: a page, or the half of an answer.
    """
    pieces = response.aiter_bytes()
    head = b""
    async for piece in pieces:
        head += piece
        if head.strip():
            break
    if not head.lstrip().startswith((b"{", b"[", b"<")):  # no line of an event stream begins so
        return "", _joined(head, pieces)
    body = bytearray(head)
    async for piece in pieces:
        body += piece[: _MOST - len(body)]
    return _answer(body.decode(errors="replace").strip(), response), pieces


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


def _answer(body: str, response: httpx2.Response) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise cut(f"{_NO_STREAM}: {map_error(body[:4096]).message}") from None
    if isinstance(said, dict) and not said.get("error") and said.keys() & {"choices", "content", "output"}:
        return body
    headers = {name.lower(): value for name, value in response.headers.items()}
    id = headers.get("request-id") or headers.get("x-request-id")
    raise map_error(said, headers=headers, request_id=id, fallback=_NO_STREAM)
