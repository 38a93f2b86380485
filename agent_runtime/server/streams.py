"""Server-sent events of a run's stream. Format: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from agent_runtime.server.stream_file import Line

PING_SECONDS = 15.0
RETRY_MS = 1_000
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # of a proxy in between
}


async def frames(lines: AsyncGenerator[list[Line]]) -> AsyncGenerator[bytes]:
    """A frame for each event, with its `seq` as id, and a comment when nothing came for 15 seconds.

    The next events are read only when the frames before them were taken, so that a slow client takes little memory.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    async with aclosing(lines):
        while True:
            pending = asyncio.ensure_future(anext(lines))
            try:
                while not (await asyncio.wait({pending}, timeout=PING_SECONDS))[0]:
                    yield b": ping\n\n"
            finally:
                if not pending.done():
                    pending.cancel()
                    with suppress(asyncio.CancelledError):
                        await pending
            try:
                found = pending.result()
            except StopAsyncIteration:
                return
            yield b"".join(map(_frame, found))


def _frame(line: Line) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (line.seq, line.type.encode(), line.text)
