from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent_runtime.shell.bash_process import _IDLE

from .conftest import Bench

pytestmark = pytest.mark.anyio


async def test_saving_the_state_of_a_shell_that_was_closed_does_nothing(sh: Bench) -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    await sh("x=1")
    bash = sh.shell._bash
    assert bash
    await sh.shell.aclose(kill=False)
    bash.save_soon()  # as a call does that was under way
    assert bash._saving is None
    await passed(_IDLE)
    assert errors == []


async def passed(seconds: float) -> None:
    """Wait until the timers of the event loop that were set before this call have run."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()
