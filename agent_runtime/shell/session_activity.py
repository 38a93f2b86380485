"""Which sessions work, and which wait for input: the former are waited for at the end of a run, the latter hung up."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from agent_runtime.shell.call_processes import Background
from agent_runtime.shell.session import Session
from agent_runtime.system.sockets import known_listeners


def working(sessions: Sequence[Session]) -> list[Background]:
    """Return the programs that work: those that neither wait for input nor are servers.

    `sessions`: those that run.
    """
    return [session.as_background() for session in _without_servers(sessions) if not session.waits_for_input]


async def hang_up_waiting(sessions: Sequence[Session]) -> list[Background]:
    """Hang up the programs that wait for input, as closing a terminal does. All others go on, and so do programs that
    ignore a hang-up. Returns those that have ended.

    `sessions`: those that run.
    """
    waiting = [session for session in _without_servers(sessions) if session.waits_for_input]
    reported = [session.as_background() for session in waiting]
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as tasks:
            for session in waiting:
                tasks.start_soon(session.hang_up)
    return [process for process, session in zip(reported, waiting, strict=True) if session.ended is not None]


def _without_servers(sessions: Sequence[Session]) -> list[Session]:
    inodes = {listener.inode for listener in known_listeners()}
    return [
        session
        for session in sessions
        if not session.was_hung_up and not any(process.sockets & inodes for process in session.living())
    ]
