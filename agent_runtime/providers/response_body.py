"""What a provider may send with status 200 instead of the events that were asked for.

Gateways send errors, whole answers and HTML pages that way, under any content type. A decoder of events finds nothing
in them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from agent_runtime.providers.errors import cut, map_error
from agent_runtime.providers.http_errors import lower_case, request_id
from agent_runtime.providers.http_response import HttpResponse

_MOST = 64 << 20  # bytes of a body that is not a stream
_NO_STREAM = "the provider did not answer with a stream of events"


async def whole_or_events(response: HttpResponse) -> tuple[str, AsyncIterator[bytes]]:
    """The JSON text of an answer that came whole; otherwise no text, and the body of a stream with nothing lost.

    Raises ProviderError for a body that is an error, and for one that is neither: a page, or half of an answer.
    """
    pieces = response.aiter_bytes()
    head = b""
    async for piece in pieces:
        head += piece
        if head.strip():
            break
    if not head.lstrip().startswith((b"{", b"[", b"<")):  # no line of an event stream begins like this
        return "", _joined(head, pieces)
    body = bytearray(head)
    async for piece in pieces:
        body += piece[: _MOST - len(body)]
    return _answer(body.decode(errors="replace").strip(), response), pieces


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


def _answer(body: str, response: HttpResponse) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise cut(f"{_NO_STREAM}: {map_error(body[:4096]).message}") from None
    if isinstance(said, dict) and not said.get("error") and said.keys() & {"choices", "content", "output"}:
        return body
    headers = lower_case(response)
    raise map_error(said, headers=headers, request_id=request_id(headers), fallback=_NO_STREAM)
