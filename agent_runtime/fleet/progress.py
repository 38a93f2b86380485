"""The progress of a batch as a line on a terminal, and its summary as a table and as JSON."""

from __future__ import annotations

import os
import time
from typing import Any, TextIO

from agent_runtime.fleet.batch import Tally

_INTERVAL = 0.2  # seconds between two lines
_BAR = 20  # characters


class Progress:
    """Rewrites one line on a terminal; writes nothing if the output is not a terminal.

    Args:
        tally: the numbers to display.
        out: the terminal.
    """

    def __init__(self, tally: Tally, out: TextIO) -> None:
        self._tally, self._out = tally, out
        self._live = out.isatty()
        self._began, self._already = time.monotonic(), tally.done
        self._last = 0.0

    @property
    def seconds(self) -> float:
        """The seconds since the batch was started or resumed."""
        return time.monotonic() - self._began

    def changed(self) -> None:
        """Display the tally, unless that was done a moment ago."""
        now = time.monotonic()
        if self._live and now - self._last >= _INTERVAL:
            self._last = now
            self._write(f"\r\x1b[K{self.line()[: os.get_terminal_size(self._out.fileno()).columns - 1]}")

    def end(self) -> None:
        """Remove the line."""
        if self._live:
            self._write("\r\x1b[K")

    def line(self) -> str:
        """Return the line."""
        tally = self._tally
        filled = _BAR * tally.done // tally.total if tally.total else _BAR
        rate = (tally.done - self._already) / self.seconds if self.seconds > 0 else 0.0
        parts = [
            f"[{'#' * filled}{'.' * (_BAR - filled)}] {tally.done}/{tally.total}",
            f"{tally.running} running",
            f"{tally.statuses['failed']} failed",
            f"{rate:.1f}/s",
            f"${tally.cost:.2f}",
        ]
        if rate > 0 and tally.done < tally.total:
            parts.append(f"{_duration((tally.total - tally.done) / rate)} left")
        return "  ".join(parts)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def as_json(tally: Tally, seconds: float) -> dict[str, Any]:
    """Return the summary as a JSON object."""
    return {
        "requests": tally.total,
        "results": tally.done,
        "statuses": dict(sorted(tally.statuses.items())),
        "retries": tally.retries,
        "inputTokens": tally.input_tokens,
        "outputTokens": tally.output_tokens,
        "costUsd": round(tally.cost, 6),
        "withoutPrice": tally.unpriced,
        "seconds": round(seconds, 1),
    }


def as_table(tally: Tally, seconds: float) -> str:
    """Return the summary as lines of text."""
    rows = [
        ("results", f"{tally.done} of {tally.total} requests"),
        *((f"  {status}", str(count)) for status, count in sorted(tally.statuses.items())),
        ("retries", str(tally.retries)),
        ("tokens", f"{tally.input_tokens} in, {tally.output_tokens} out"),
        ("cost", f"${tally.cost:.4f}" + (f", {tally.unpriced} without a price" if tally.unpriced else "")),
        ("time", _duration(seconds)),
    ]
    return "\n".join(f"{name:<12} {value}" for name, value in rows)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
