"""Which call a process belongs to."""

from __future__ import annotations

import pytest

from tests.support.waiting import until_async

from .conftest import Bench

pytestmark = pytest.mark.anyio

STARTS = [
    "sleep {} & true",
    "(sleep {} &)",
    "setsid sleep {} & true",
    "env -i sleep {} & true",
    "(setsid env -i sleep {} &)",
    "(setsid sh -c 'env -i sleep {} & sleep 0.1' &)",
    "{ exec sleep {}; } & true",
]


@pytest.mark.parametrize("order", [1, -1])
async def test_each_process_is_reported_once_for_the_call_that_started_it(sh: Bench, order: int) -> None:
    """The environment of `env -i` has no marker, as that of a process of another user cannot be read."""
    for number, command in enumerate(STARTS[::order], 1):
        await sh(command.replace("{}", str(400 + number)))
    expected = [(f"sleep {400 + number}", f"call-{number}") for number in range(1, len(STARTS) + 1)]

    def found() -> list[tuple[str, str]]:
        return sorted((process.command, process.call_id) for process in sh.shell.background())

    await until_async(lambda: {command for command, _ in found()} == {command for command, _ in expected})
    assert found() == expected
