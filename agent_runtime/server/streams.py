"""Server-sent events of a run's stream. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from agent_runtime.server.runs import Line

PING_SECONDS = 15.0
RETRY_MS = 1_000
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # of a proxy in between
}


async def frames(lines: AsyncIterator[Line]) -> AsyncIterator[bytes]:
    """A frame for each event, with its `seq` as id, and a comment when nothing came for 15 seconds.

    The next event is only read when the frame before it was taken: a slow client costs no memory.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    pending: asyncio.Task[Line] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(lines))
            done, _ = await asyncio.wait({pending}, timeout=PING_SECONDS)
            if not done:
                yield b": ping\n\n"
                continue
            try:
                line = pending.result()
            except StopAsyncIteration:
                return
            finally:
                pending = None
            yield f"id: {line.seq}\nevent: {line.type}\ndata: {line.text}\n\n".encode()
    finally:
        if pending is not None:
            pending.cancel()
