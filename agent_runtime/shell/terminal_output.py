"""The output of a program on a terminal: answers its queries while it runs, and renders its screen as text."""

from __future__ import annotations

import logging
import threading

from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.text import split_ends
from agent_runtime.shell.ansi import CUT
from agent_runtime.shell.output_buffer import HEAD, RING
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.replies import Replies
from agent_runtime.shell.screen import Drawn, Screen, draws
from agent_runtime.shell.truncation import (
    BYTES_PER_TOKEN,
    TruncatedOutput,
    join_truncated,
    location,
    whole_tail,
)

log = logging.getLogger(__name__)

_DRAWN = RING // 2  # bytes that are drawn at once; of a longer output only the beginning and the end
_PIECE = 64 << 10
_QUERY = lazy_pattern(rb"\x1b(?:\[[<=>?]?[0-9;]*(?:[cnt]|\$?p|q)|P[$+]q|\]1[01];\?)")  # it asks for an answer
_UNFINISHED = lazy_pattern(CUT.encode())
_UNFINISHED_LIMIT = 4096  # bytes; a query is shorter, or begins as one


class TerminalOutput:
    """Draws the output of a terminal when it is reported, or when the program asks the terminal something.

    Each byte is drawn at most once, in the thread of the caller; output that places no text, and asks nothing, never.

    Args:
        keyboard: where the answers are typed; not owned.
        rows, columns: the size of the terminal.
    """

    def __init__(self, keyboard: int, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._screen = Screen(rows, columns)
        self._lock = threading.Lock()
        self._drawn = self._drawn_lines = 0  # bytes and line ends that the screen was fed or has skipped
        self._reported = 0  # bytes of the output
        self._not_drawn = 0  # up to this byte the drawing has failed
        self._replies = Replies(keyboard)
        self._unfinished = b""  # a control sequence at the end of the output so far

    def answer(self, capture: OutputCapture, size: int) -> None:
        """Answer the queries in the last `size` bytes of the output, which have just come."""
        piece = self._unfinished + capture.read(capture.total - size, capture.total)
        unfinished = _UNFINISHED.search(piece, max(piece.rfind(b"\x1b"), 0))
        self._unfinished = piece[unfinished.start() :][:_UNFINISHED_LIMIT] if unfinished else b""
        if _QUERY.search(piece):
            with self._lock:
                self._draw(capture, capture.total)

    def report(self, capture: OutputCapture, tokens: int) -> TruncatedOutput:
        """The output that has not been reported yet, as text: the screen, if it was drawn on."""
        with self._lock:
            since, until = self._reported, capture.total
            is_drawn = draws(capture.read(max(since, until - RING), until))
            fitted = None
            if is_drawn or self._drawn > since:
                self._draw(capture, until)
                drawn = self._screen.take()
                if is_drawn and since >= self._not_drawn:
                    fitted = _fit(drawn, capture, until - since, tokens)
            if fitted is None:
                fitted = capture.fit(tokens, since=since, until=until)
            self._reported = until
            return fitted

    def close(self) -> None:
        """Stop answering. To be called before the keyboard is closed."""
        self._replies.close()

    def _draw(self, capture: OutputCapture, until: int) -> None:
        try:
            if self._drawn < self._reported:
                # reported without being drawn: only its effect on the screen counts
                self._feed(capture, self._reported)
                self._screen.take()
            self._feed(capture, until)
            self._replies.give(bytes(self._screen.replies))
            self._screen.replies.clear()
        except Exception:  # whatever a program prints, its output is reported
            log.exception("the output of a terminal could not be drawn")
            self._screen = Screen(self._rows, self._columns)
            self._drawn = self._not_drawn = until

    def _feed(self, capture: OutputCapture, until: int) -> None:
        size = until - self._drawn
        data = capture.read(self._drawn, until)
        if len(data) < size or size > _DRAWN:
            head = capture.read(self._drawn, self._drawn + HEAD)
            self._print(head if len(head) == HEAD else b"")
            data = whole_tail(data[-HEAD:])
            missing = until - self._drawn - len(data)
            lines = max(capture.lines - self._drawn_lines - data.count(b"\n"), 0)
            self._screen.skip(missing, lines)
            self._drawn += missing
            self._drawn_lines += lines
        self._print(data)

    def _print(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            self._screen.feed(data[start : start + _PIECE])
        self._drawn += len(data)
        self._drawn_lines += data.count(b"\n")


def _fit(drawn: Drawn, capture: OutputCapture, output_bytes: int, tokens: int) -> TruncatedOutput:
    limit = tokens * BYTES_PER_TOKEN
    size, lines = len(drawn.head.encode()), drawn.head.count("\n")
    if not drawn.missing_bytes and size <= limit:
        return TruncatedOutput(drawn.head, False, output_bytes, None)
    if drawn.missing_bytes:
        size += len(drawn.tail.encode()) + drawn.missing_bytes
        lines += drawn.tail.count("\n") + drawn.missing_lines
    spilled = capture.spilled()
    head, tail = split_ends(drawn.head, drawn.tail, limit)
    text = join_truncated(head, tail, size, lines, location(spilled))
    return TruncatedOutput(text, True, output_bytes, None if spilled.error else spilled.path)
