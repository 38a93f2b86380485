"""Renders a run to stdout as text, on a terminal with the lines of `progress` below it."""

from __future__ import annotations

import io
import json
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.cells import cell_len

from agent_runtime.cli.pretty import Pretty
from agent_runtime.cli.progress import Progress

_TICK = 0.5  # seconds after which the elapsed time is updated
_PIECE = 1 << 16
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


@contextmanager
def rendered(out: int) -> Iterator[int]:
    """Yield a descriptor that takes NDJSON events, which are rendered to `out`; on exit, wait for the rendering."""
    source, sink = os.pipe()
    thread = threading.Thread(target=_render, args=(source, out), name="pretty")
    thread.start()
    try:
        yield sink
    finally:
        os.close(sink)
        thread.join()


def is_live(out: int) -> bool:
    """Whether `out` is a terminal on which lines can be displayed anew."""
    return os.isatty(out) and os.environ.get("TERM", "dumb") != "dumb"


class LiveRegion:
    """The last lines of a terminal, which are replaced when they change.

    The cursor stays on the line below them, where the terminal echoes what the user types.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def erased(self, width: int) -> str:
        """Return the escape sequences that remove the lines, which the terminal may have wrapped to a new `width`."""
        rows = sum(max(1, -(-cell_len(line) // max(1, width))) for line in self._lines)
        self._lines = []
        return f"\r\x1b[{rows}A\x1b[J" if rows else ""

    def drawn(self, lines: list[str], width: int) -> str:
        """Return the text that displays lines in place of the former ones."""
        if lines == self._lines:
            return ""
        if len(lines) == len(self._lines) and all(cell_len(line) <= width for line in self._lines):
            rows = len(lines)
            text = "".join(f"\x1b[2K{_DIM}{line}{_PLAIN}\r\n" for line in lines)
            self._lines = lines
            return f"\x1b7\r\x1b[{rows}A{text}\x1b8"  # text that was typed below stays
        before = self.erased(width)
        self._lines = lines
        return before + "".join(f"{_DIM}{line}{_PLAIN}\r\n" for line in lines)


class Display:
    """Turns events into what is written to the terminal or file.

    Args:
        live: display the progress below the text.
        color: the text may contain colours.
    """

    def __init__(self, *, live: bool, color: bool) -> None:
        self._text = _Buffer(color)
        self._pretty = Pretty(self._text)
        self._progress, self._region, self._live = Progress(), LiveRegion(), live

    def take(self, lines: list[bytes], size: os.terminal_size | None) -> str:
        """Return what to write for some events; for none, what has changed with the time.

        `size` is that of the terminal; None where the output is not one.
        """
        if size is not None:
            self._pretty.width = size.columns
        for line in lines:
            event = json.loads(line)
            self._pretty.write(event)
            self._progress.take(event)
        text = self._text.take()
        if not self._live or size is None:
            return text
        width = size.columns
        # the last column stays free: some terminals wrap a line that ends there
        progress = self._progress.lines(width - 1, size.lines)
        if not text:
            return self._region.drawn(progress, width)
        return self._region.erased(width) + text + self._region.drawn(progress, width)


def _render(source: int, out: int) -> None:
    # The console writes to memory, and this function to `out`: rich would end the thread on a broken pipe.
    live = is_live(out)
    display = Display(live=live, color=os.isatty(out))
    rest = b""
    try:
        with suppress(BrokenPipeError):  # closing `source` ends the run
            while True:
                ready = select.select([source], [], [], _TICK if live else None)[0]
                piece = os.read(source, _PIECE) if ready else b""
                if ready and not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                _write_all(out, display.take(lines, _size(out)).encode("utf-8", "replace"))
    finally:
        os.close(source)


class _Buffer(io.StringIO):
    """Buffers the output of the console until it is taken; reports whether it is meant for a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def _size(out: int) -> os.terminal_size | None:
    """The size of the terminal; None where `out` is not one, or does not know it."""
    try:
        size = os.get_terminal_size(out)
    except OSError:
        return None
    return size if size.columns else None


def _write_all(out: int, data: bytes) -> None:
    while data:
        data = data[os.write(out, data) :]
