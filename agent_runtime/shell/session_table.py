"""The sessions of a run by their numbers, of which only so many may run at once."""

from __future__ import annotations

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.shell.session import Session


class SessionTable(dict[int, Session]):
    """Sessions that run, or whose end was not reported.

    Args:
        limit: how many may run at once.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._number = 0
        self._call_over = anyio.Event()  # replaced each time that it is set

    def add(self, session: Session) -> int:
        """Add a session. Returns its number."""
        self._number += 1
        self[self._number] = session
        return self._number

    def running(self) -> list[Session]:
        """Return the sessions that run."""
        return [session for session in self.values() if session.ended is None]

    def call_is_over(self) -> None:
        """Note that a call no longer waits for a session."""
        over, self._call_over = self._call_over, anyio.Event()
        over.set()

    async def wait_for_place(self) -> None:
        """Wait until another program may be started. Raises ToolError when no call waits for those that run."""
        while len(running := self.running()) >= self._limit:
            if not any(session.lock.locked() for session in running):
                raise ToolError(
                    f"cmd: not started, because {len(running)} sessions run already, which is the limit. End one of "
                    f"them with write_stdin (\\u0003 or \\u0004) first. {self.listed()}"
                )
            await self._call_over.wait()

    def superfluous(self) -> list[int]:
        """Return those that have ended and whose end was not asked for, the oldest ones, when they are too many."""
        ended = [number for number, session in self.items() if session.ended is not None]
        waiting = [number for number in ended if not self[number].lock.locked()]
        return sorted(waiting, key=lambda number: self[number].used)[: -self._limit]

    def listed(self) -> str:
        """Return what is there, for the model."""
        listed = ", ".join(f"{number} ({session.command[:60]})" for number, session in self.items())
        return f"Running: {listed}." if listed else "None is running."
