"""An output while it grows: pieces that together are the beginning of the text that the model gets at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from agent_runtime.shell.ansi import clean
from agent_runtime.shell.displayed import may_move_back
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.truncation import BYTES_PER_TOKEN
from agent_runtime.system.threads import run_in_thread


class LiveOutput:
    """Sends an output in whole lines, until a quarter of the budget is used; the rest follows at the end.

    A line is sent when it is complete, because a carriage return may still change it. None is sent after the first
    sign of a progress display of several lines.

    Args:
        tokens: at most so much of the output reaches the model.
        send: takes each piece.

    Attributes:
        sent: the text of the pieces so far.
        sent_bytes: the size of their output.
    """

    def __init__(self, tokens: int, send: Callable[[str], Awaitable[None]]) -> None:
        self.sent = ""
        self.sent_bytes = 0
        self._send = send
        self._budget = tokens * BYTES_PER_TOKEN // 4
        self._has_sent = False

    async def follow(self, capture: OutputCapture) -> None:
        """Send lines as they come, until the output has ended or the budget is used."""
        seen = 0
        while not (capture.ended and seen == capture.total) and self._budget > 0:
            await capture.more(seen)
            seen = min(capture.total, self.sent_bytes + 2 * self._budget + 65536)
            data = capture.read(self.sent_bytes, seen)
            if not data and seen > self.sent_bytes:
                return  # more has come than is kept, before it was read
            end = data.rfind(b"\n") + 1
            text = data[:end].decode("utf-8", "replace")
            if may_move_back(text):
                return
            if text:
                await self._lines(text, end)
            elif len(data) > self._budget:
                return

    @asynccontextmanager
    async def following(self, capture: OutputCapture) -> AsyncIterator[None]:
        """Held while the command runs: lines are sent as they come, see `follow`."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.follow, capture)
            yield
            tasks.cancel_scope.cancel()

    async def finish(self, text: str) -> None:
        """Send the rest of the text that the model gets."""
        rest = text.removeprefix(self.sent)
        if rest:
            await self._send(rest)

    async def _lines(self, text: str, size: int) -> None:
        text = (await run_in_thread(clean, text)).removesuffix("\n")
        self._budget -= len(text.encode()) + 1
        if self._budget > 0:
            piece = "\n" + text if self._has_sent else text
            self._has_sent = True
            self.sent += piece
            self.sent_bytes += size
            await self._send(piece)
