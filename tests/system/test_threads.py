from __future__ import annotations

import _thread
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import pytest
from anyio import to_thread

from agent_runtime.system.spawn import spawn
from agent_runtime.system.threads import call_in_new_thread, run_in_thread

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

T = TypeVar("T")

pytestmark = pytest.mark.anyio


def fail() -> None:
    raise RuntimeError("of its own")


async def test_work_is_done_in_a_thread() -> None:
    assert await run_in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(RuntimeError, match="of its own"):
        await run_in_thread(fail)


async def test_work_is_done_inline_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(to_thread, "run_sync", refuse)
    assert await run_in_thread(threading.get_ident) == threading.get_ident()


def test_work_is_done_in_a_new_thread_that_ends_with_it() -> None:
    known = threading.enumerate()
    assert call_in_new_thread(_thread.get_ident) != _thread.get_ident()
    with pytest.raises(RuntimeError, match="of its own"):
        call_in_new_thread(fail)
    assert threading.enumerate() == known


@pytest.mark.parametrize("confined", [False, True])
def test_at_the_limit_of_processes_an_unconfined_program_is_started_without_a_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, confined: bool
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    def confine(start: Callable[[], T]) -> T:
        return call_in_new_thread(start)

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    with Path(os.devnull).open("r+b") as null:

        def start() -> int:
            program = spawn(
                ["true"],
                cwd=tmp_path,
                env=dict(os.environ),
                stdin=null.fileno(),
                stdout=null.fileno(),
                stderr=null.fileno(),
                confine=cast("Confinement", confine) if confined else None,
            )
            return program.wait(60)

        if confined:
            with pytest.raises(OSError, match="no thread can be started"):
                start()
        else:
            assert start() == 0
