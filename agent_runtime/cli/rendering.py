"""A descriptor that takes events and renders them as text, in a thread."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent_runtime.cli.pretty import Pretty


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


def _render(source: int, out: int) -> None:
    # The console writes to memory, and this function to `out`: rich would end the thread on a broken pipe.
    with open(source, "rb") as lines, suppress(BrokenPipeError):  # closing `source` ends the run
        text = _Buffer(os.isatty(out))
        pretty = Pretty(text, width=_columns(out))
        for line in lines:
            pretty.write(json.loads(line))
            _write_all(out, text.take())


class _Buffer(io.StringIO):
    """Buffers the output of the console until it is taken; reports whether it is meant for a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def take(self) -> bytes:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text.encode("utf-8", "replace")


def _columns(out: int) -> int | None:
    """The width of the terminal; None where `out` is not one."""
    try:
        return os.get_terminal_size(out).columns or None
    except OSError:
        return None


def _write_all(out: int, data: bytes) -> None:
    while data:
        data = data[os.write(out, data) :]
