"""A run that does not read its control messages takes one thread of the server."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from agent_runtime.server import senders
from agent_runtime.server.control import NotDelivered
from agent_runtime.server.run_files import RunFiles
from agent_runtime.server.senders import Senders


class StuckFiles:
    """The files of a run that reads nothing until `reads` is set.

    Attributes:
        entered: released by each message that is being written.
    """

    def __init__(self, name: str) -> None:
        self.folder = Path(name)
        self.reads, self.entered = threading.Event(), threading.Semaphore(0)
        self.sent: list[Any] = []

    def send(self, message: dict[str, Any]) -> None:
        self.entered.release()
        self.reads.wait(60)
        self.sent.append(message)


def files(name: str) -> tuple[StuckFiles, RunFiles]:
    stuck = StuckFiles(name)
    return stuck, cast(RunFiles, stuck)


def test_others_are_refused_while_a_run_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "SECONDS", 0.2)

    async def main() -> None:
        (stuck, run), (other, other_run) = files("stuck"), files("other")
        other.reads.set()
        sending = Senders()
        first = asyncio.create_task(sending.send(run, {"action": "pause"}))
        await asyncio.to_thread(stuck.entered.acquire)
        refused = await asyncio.gather(
            *(sending.send(run, {"action": "resume"}) for _ in range(200)), return_exceptions=True
        )
        assert {str(error) for error in refused} == {"the run does not read its control messages"}
        assert all(isinstance(error, NotDelivered) for error in refused)
        await sending.send(other_run, {"action": "pause"})
        stuck.reads.set()
        await first
        await sending.send(run, {"action": "cancel"})
        assert [message["action"] for message in stuck.sent] == ["pause", "cancel"]
        assert len(other.sent) == 1

    anyio.run(main)


def test_a_sender_that_leaves_keeps_its_turn_until_its_message_is_written() -> None:
    async def main() -> None:
        stuck, run = files("stuck")
        sending = Senders()
        first = asyncio.create_task(sending.send(run, {"action": "pause"}))
        await asyncio.to_thread(stuck.entered.acquire)
        first.cancel()
        await asyncio.wait({first})
        second = asyncio.create_task(sending.send(run, {"action": "resume"}))
        await asyncio.sleep(0)
        assert not stuck.entered.acquire(blocking=False)
        stuck.reads.set()
        await second
        assert [message["action"] for message in stuck.sent] == ["pause", "resume"]

    anyio.run(main)
