"""A provider's answer with status 200: the events of its stream, or what it says in the place of a stream.

Gateways send errors, whole answers and pages that way, whatever their content type says; a decoder of events finds
nothing in them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol

import httpx2

from agent_runtime.errors import ProviderError
from agent_runtime.providers.faults import cut, fault

_KEPT = 8 << 20  # bytes of a body in which no event was found yet


class Stream(Protocol):
    """An SDK's stream of decoded events."""

    response: httpx2.Response

    async def __anext__(self) -> Any:
        """The next event's data."""
        ...

    async def close(self) -> None:
        """Close the response."""
        ...


class Answer:
    """Iterates the events. A body without one is given as it is when it is an object, and raised when it complains."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._body: bytearray | None = bytearray()  # None: an event was found
        read = stream.response.aiter_bytes
        # the SDKs read their response by this method alone
        stream.response.aiter_bytes = lambda *args: self._overhear(read(*args))  # type: ignore[method-assign]

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        """The next event's data. Raises ProviderError, and whatever the SDK raises."""
        try:
            event = await anext(self._stream)
        except StopAsyncIteration:
            if (said := self._said()) is None:
                raise
            return said
        self._body = None
        return event

    async def close(self) -> None:
        """Close the response."""
        await self._stream.close()

    async def _overhear(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for piece in pieces:
            if self._body is not None and len(self._body) < _KEPT:
                self._body += piece
            yield piece

    def _said(self) -> Any:
        body, self._body = bytes(self._body or b"").strip(), None
        if body[:1] not in (b"{", b"[", b"<"):
            return None
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            raise cut(
                f"the provider answered with no stream of events: {fault(_text(body)).message}"
            ) from None
        if not _is_answer(said):
            raise _complaint(said, self._stream.response)
        return said


def _text(body: bytes) -> str:
    return body[:4096].decode("utf-8", "replace")


def _is_answer(said: object) -> bool:
    """A whole answer for a decoder to take, or to refuse."""
    return (
        isinstance(said, dict)
        and "error" not in said
        and bool(said.keys() & {"choices", "content", "output"})
    )


def _complaint(said: object, response: httpx2.Response) -> ProviderError:
    headers = {name.lower(): value for name, value in response.headers.items()}
    id = headers.get("request-id") or headers.get("x-request-id")
    return fault(
        said, headers=headers, request_id=id, fallback="the provider answered with no stream of events"
    )
