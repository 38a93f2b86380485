"""Waiting for something that another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

_LOOK = 0.01  # seconds between two looks: what is waited for gives no event


def until(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """The first result of the condition that is true. Fails when there is none within the time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"nothing within {seconds} s"
        time.sleep(_LOOK)
    return result


async def until_async(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """The same in an event loop, which goes on in the meantime."""
    with anyio.fail_after(seconds):
        while not (result := condition()):  # noqa: ASYNC110 - what is waited for is outside of this process
            await anyio.sleep(_LOOK)
    return result
