"""A run under way that a test follows and controls."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.runtime import Result, result
from tests.support.runs import start_run

Event = dict[str, Any]


class Running:
    """A run under way: its events as they come, its stdin, its end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[bytes] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()

    def until(self, kind: str, seconds: float = 60, *, number: int = 1, **fields: Any) -> Event:
        """The first event of that type that has these fields, or the one of that number."""
        wanted = {"type": kind} | fields

        def found() -> Event | None:
            events = [each for each in map(json.loads, self.lines) if wanted.items() <= each.items()]
            return events[number - 1] if len(events) >= number else None

        with self._more:
            assert self._more.wait_for(lambda: found() is not None, seconds), self.lines
            event = found()
            assert event
            return event

    def next_notice(self, code: str, after: int, seconds: float = 60) -> bool:
        """Wait for a notice behind the first `after` lines. Returns False when the run ends without one."""

        def found() -> str | None:
            events = [json.loads(line) for line in self.lines[after:]]
            ends = (each["type"] for each in events if each.get("code") == code or each["type"] == "complete")
            return next(ends, None)

        with self._more:
            assert self._more.wait_for(lambda: found() is not None, seconds), self.lines
            return found() == "notice"

    def say(self, **message: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def heard(self, number: int = 1) -> None:
        """Wait until the run has read all that it was told: it answers the last line, a wrong one, with an error.

        Args:
            number: of the errors that the run has reported by then.
        """
        self.say(action="none")
        self.until("error", number=number)

    def end(self, seconds: float = 60) -> Result:
        code = self.process.wait(seconds)
        self._reader.join()
        assert self.process.stderr
        return result(b"".join(self.lines), code, self.process.stderr.read())


@contextmanager
def running(
    server: ModelServer, workspace: Path, *options: str, request: Event | None = None
) -> Iterator[Running]:
    process = start_run(server, workspace, *options, stdin=subprocess.PIPE)
    with process:
        run = Running(process)
        assert process.stdin
        process.stdin.write(json.dumps(request or {"prompt": "go"}).encode())
        process.stdin.flush()
        try:
            yield run
        finally:
            process.kill()
