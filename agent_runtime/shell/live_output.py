"""An output as it grows: pieces whose sum is the beginning of what the model gets in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent_runtime.shell.ansi import clean
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.truncation import BYTES_PER_TOKEN


class LiveOutput:
    """Whole lines, until half of the budget is used: what comes later may be cut, and is sent at the end.

    A line is sent when it is complete, for a carriage return may still change it.
    """

    def __init__(self, tokens: int, send: Callable[[str], Awaitable[None]]) -> None:
        self.sent = ""
        self._send = send
        self._room = tokens * BYTES_PER_TOKEN // 4
        self._begun = False

    async def follow(self, capture: OutputCapture) -> None:
        """Send lines as they come, until the output has ended or the budget is used."""
        seen = begin = 0
        while not (capture.ended and seen == capture.total) and self._room > 0:
            await capture.more(seen)
            seen = min(capture.total, begin + 2 * self._room + 65536)
            data = capture.read(begin, seen)
            if not data and seen > begin:
                return  # it came faster than it was read, and is kept no longer
            end = data.rfind(b"\n") + 1
            if end:
                await self._lines(data[:end].decode("utf-8", "replace"))
                begin += end
            elif len(data) > self._room:
                return

    async def finish(self, text: str) -> None:
        """Send the rest of the final text."""
        rest = text.removeprefix(self.sent)
        if rest:
            await self._send(rest)

    async def _lines(self, text: str) -> None:
        text = clean(text).removesuffix("\n")
        self._room -= len(text.encode()) + 1
        if self._room > 0:
            piece = "\n" + text if self._begun else text
            self._begun = True
            self.sent += piece
            await self._send(piece)
