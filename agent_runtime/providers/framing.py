"""What a provider's body may be in the place of the events that were asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def whole_or_events(pieces: AsyncIterator[bytes]) -> tuple[str, AsyncIterator[bytes]]:
    """A body that is one JSON object (an error under status 200, or a stream that was asked for in vain): its text.

    Otherwise no text, and the same body with nothing lost: no line of an event stream begins with a brace.
    """
    head = b""
    async for piece in pieces:
        head += piece
        if head.strip():
            break
    if not head.lstrip().startswith(b"{"):
        return "", _joined(head, pieces)
    async for piece in pieces:
        head += piece
    return head.decode(errors="replace"), pieces


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece
