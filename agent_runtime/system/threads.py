"""Runs blocking work outside the event loop."""

from __future__ import annotations

import _thread
import errno
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from anyio import to_thread

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class ThreadLimitReached(OSError):
    """No thread can be started: the limit of processes is reached, which counts threads too."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "no thread can be started")


def call_in_new_thread(work: Callable[[], T]) -> T:
    """Do the work in a thread that ends with it, and wait for that. Blocking.

    Returns its result. Raises what it raises, and ThreadLimitReached when no thread can be started.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    over = _thread.allocate_lock()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)
        finally:
            over.release()

    over.acquire()
    try:
        _thread.start_new_thread(run, ())  # Thread.start() would wait once more, for the thread to begin
    except RuntimeError:
        raise ThreadLimitReached from None
    over.acquire()
    if failure:
        raise failure[0]
    return outcome[0]


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
