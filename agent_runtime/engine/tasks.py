"""Helpers for the tasks of a run."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from agent_runtime.errors import AgentRuntimeError

log = logging.getLogger(__name__)


async def guarded(task: Callable[[], Awaitable[None]]) -> None:
    """Run a task. An exception is logged; it does not end the run."""
    try:
        await task()
    except Exception:
        log.exception("%s failed", name_of(task))


def name_of(task: Callable[[], Awaitable[None]]) -> str:
    """Return the name of a task for the log."""
    inner = task.func if isinstance(task, partial) else task
    name: str = getattr(inner, "__qualname__", type(inner).__qualname__)
    return name


def single(error: BaseException) -> BaseException:
    """Return the only error inside nested exception groups, in which task groups wrap what a task raises."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return next(
            (inner for inner in map(single, error.exceptions) if isinstance(inner, AgentRuntimeError)), error
        )
    return error
