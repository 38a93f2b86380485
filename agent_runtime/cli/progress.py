"""What a run is doing at the moment, as the last lines of a terminal: the text that arrives, and a line of figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import field
from typing import Any

from rich.cells import cell_len, set_cell_size

from agent_runtime.cli.terminal_text import clean, command_of
from agent_runtime.lazy import dataclass

Event = dict[str, Any]

TAIL_LINES = 8  # of a text that is arriving
_TAIL_CHARACTERS = 8_000  # enough for these lines


@dataclass
class Progress:
    """Follows the events of a run.

    Attributes:
        clock: seconds, for the time that has passed.
        active: whether the run has started and not ended.
    """

    clock: Callable[[], float] = time.monotonic
    active: bool = False
    _began: float = 0.0
    _since: float = 0.0  # of what is awaited
    _awaited: str = "the model"
    _tokens: int = 0
    _cost: float | None = 0.0
    _turn: int = 0
    _calls: dict[str, str] = field(default_factory=dict)  # that are running: id -> title
    _arriving: str = ""
    _source: tuple[str, str] = ("", "")  # of what arrives: type and id

    def take(self, event: Event) -> None:
        """Take the next event."""
        handler = getattr(self, f"_on_{event.get('type')}", None)
        if handler is not None:
            handler(event)

    def lines(self, width: int, height: int = 24) -> list[str]:
        """Return the lines to display; none before the start and after the end.

        Each is at most `width` columns wide, and they take at most half of the `height` of the terminal.
        """
        if not self.active:
            return []
        count = max(1, min(TAIL_LINES, height // 2 - 1))
        tail = clean(self._arriving[-_TAIL_CHARACTERS:]).rstrip("\n").split("\n")[-count:]
        found = [f"  │ {line}" for line in tail] if self._arriving.strip() else []
        return [_fitted(line, width) for line in [*found, self._figures()]]

    def _figures(self) -> str:
        now = self.clock()
        pieces = [
            f"{self._awaited} {_elapsed(now - self._since)}",
            f"turn {self._turn}",
            f"{self._tokens:,} tokens",
        ]
        if self._cost:
            pieces.append(f"${self._cost:.4f}")
        pieces.append(f"{_elapsed(now - self._began)} in all")
        return f"· {' · '.join(pieces)}"

    def _await(self, what: str) -> None:
        if what != self._awaited:
            self._awaited, self._since = what, self.clock()

    def _next(self) -> None:
        """Set what is awaited now that something has ended: a call that still runs, or the model."""
        self._arriving, self._source = "", ("", "")
        self._await(next(reversed(self._calls.values()), "waiting for the model"))

    def _on_start(self, event: Event) -> None:
        self.active, self._began, self._since = True, self.clock(), self.clock()
        self._await("waiting for the model")

    def _on_thinking(self, event: Event) -> None:
        self._turn = int(event.get("turn") or self._turn)
        self._next()

    def _on_tool_call(self, event: Event) -> None:
        title, body = command_of(event.get("input"))
        self._calls[str(event.get("id"))] = f"{event.get('tool')} {title or (body or [''])[0]}"[:60].rstrip()
        self._turn = int(event.get("turn") or self._turn)
        self._next()

    def _on_tool_result(self, event: Event) -> None:
        self._calls.pop(str(event.get("id")), None)
        self._next()

    def _on_usage(self, event: Event) -> None:
        self._tokens += int(event.get("totalTokens") or 0)
        cost = event.get("costUsd")
        self._cost = self._cost + cost if isinstance(cost, int | float) and self._cost is not None else None
        self._turn = int(event.get("turn") or self._turn)

    def _on_question(self, event: Event) -> None:
        self._await("waiting for your answer")

    def _on_error(self, event: Event) -> None:
        if event.get("retryInMs") is not None:
            self._arriving = ""
            self._await("waiting to try again")

    def _on_complete(self, event: Event) -> None:
        self.active = False

    def _on_text_delta(self, event: Event) -> None:
        self._append(event, "the model writes")

    def _on_thinking_delta(self, event: Event) -> None:
        self._append(event, "the model thinks")

    def _on_tool_input_delta(self, event: Event) -> None:
        self._append(event, "the model writes a call")

    def _on_tool_output_delta(self, event: Event) -> None:
        self._append(event, self._calls.get(str(event.get("id")), "a call"))

    def _append(self, event: Event, awaited: str) -> None:
        source = str(event.get("type")), str(event.get("id", ""))
        if source != self._source or event.get("restart"):
            self._arriving, self._source = "", source
        self._arriving = (self._arriving + str(event.get("delta", "")))[-2 * _TAIL_CHARACTERS :]
        self._await(awaited)


def _fitted(line: str, width: int) -> str:
    width = max(1, width)
    return line if cell_len(line) <= width else f"{set_cell_size(line, width - 1)}…"


def _elapsed(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"
