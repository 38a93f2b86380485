"""A run under way that a test follows and controls."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Result, result
from tests.support.runs import start_run

Event = dict[str, Any]


class Running:
    """A run under way: its events as they come, its stdin, its end.

    Attributes:
        events: those that were read so far.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.events: list[Event] = []
        self._lines: list[bytes] = []
        self._more = threading.Condition()
        self._numbers = itertools.count()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._more:
                self._lines.append(line)
                self.events.append(json.loads(line))
                self._more.notify_all()

    def until(self, kind: str, seconds: float = 60, *, number: int = 1, **fields: Any) -> Event:
        """Wait for the first event of that type that has these fields, or for the one of that number."""
        wanted = {"type": kind} | fields
        return self._wait(lambda event: wanted.items() <= event.items(), seconds, number=number)

    def until_invalid(self, field: str) -> Event:
        """Wait for the error about a control message in which this field is wrong."""
        return self._wait(lambda event: event["type"] == "error" and _details(event).get("field") == field)

    def next_notice(self, code: str, after: int) -> Event:
        """Wait for a notice behind the first `after` events. Fails when the run ends without one."""
        event = self._wait(
            lambda event: event.get("code") == code or event["type"] == "complete", after=after
        )
        assert event["type"] == "notice", f"the run has ended without the notice {code}"
        return event

    def _wait(
        self, matches: Callable[[Event], bool], seconds: float = 60, *, number: int = 1, after: int = 0
    ) -> Event:
        def found() -> list[Event]:
            return [event for event in self.events[after:] if matches(event)][number - 1 : number]

        with self._more:
            assert self._more.wait_for(found, seconds), self.events
            return found()[0]

    def say(self, **message: object) -> None:
        """Send a control message."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def wait_until_read(self) -> None:
        """Wait until the run has read all that was sent: it answers the last line, an invalid one, with an error."""
        action = f"none-{next(self._numbers)}"
        self.say(action=action)
        self._wait(lambda event: event["type"] == "error" and action in _details(event).get("line", ""))

    def end(self, seconds: float = 60) -> Result:
        """Wait for the end of the run, and return its checked events."""
        code = self.process.wait(seconds)
        self._reader.join()
        assert self.process.stderr
        return result(b"".join(self._lines), code, self.process.stderr.read())


def _details(event: Event) -> dict[str, Any]:
    return event.get("details") or {}


@contextmanager
def running(
    server: ModelServer,
    workspace: Path,
    *options: str,
    request: Event | None = None,
    format: WireFormat = "anthropic",
    descriptors: Sequence[int] = (),
) -> Iterator[Running]:
    """Start a run of the request, with stdin open for control messages. It is killed at the end of the context."""
    process = start_run(
        server, workspace, *options, stdin=subprocess.PIPE, format=format, descriptors=descriptors
    )
    with process:
        run = Running(process)
        assert process.stdin
        process.stdin.write(json.dumps(request or {"prompt": "go"}).encode() + b"\n")
        process.stdin.flush()
        try:
            yield run
        finally:
            process.kill()
