from __future__ import annotations

import threading

import pytest
from anyio import to_thread

from agent_runtime.system.threads import run_in_thread

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
