"""Runs blocking work outside the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import to_thread

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


async def run_in_thread(work: Callable[[*Arguments], T], *args: *Arguments) -> T:
    """Do the work in a thread, or here, when no thread can be started: at its limit of processes the runtime still has
    to report results and to end processes.
    """
    try:
        return await to_thread.run_sync(work, *args)
    except RuntimeError as error:
        if str(error) != "can't start new thread":
            raise
        return work(*args)
