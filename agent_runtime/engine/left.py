"""What goes on after a run, and what is ended with it: `left` and `ended` of `complete`.

Programs in sessions whose end the model has not seen are waited for, for a bounded time. Those that still work then go
on, and are named in `left`; only programs that wait for input are ended.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import anyio
from anyio.to_thread import run_sync

from agent_runtime.dev_servers.server import RunningServer
from agent_runtime.protocol import events
from agent_runtime.protocol.events import LeftProcess
from agent_runtime.shell.call_processes import Background
from agent_runtime.system.processes import Process

LONGEST_WAIT = 10.0  # seconds
_REPORTED_AFTER = 0.5  # seconds; what ends sooner is not worth a notice
_POLL = 0.1  # seconds


async def wait_for_work(
    working: Callable[[], list[Background]], seconds: float, emit: Callable[[events.Event], Awaitable[None]]
) -> None:
    """Wait until no program works any more.

    Args:
        working: returns what works. Blocking.
        seconds: the longest time.
        emit: emits a notice when this takes more than a moment.
    """
    began, reported = time.monotonic(), False
    while found := await run_sync(working):
        waited = time.monotonic() - began
        if waited >= seconds:
            return
        if waited >= _REPORTED_AFTER and not reported:
            reported = True
            await emit(_waiting(found, seconds))
        await anyio.sleep(_POLL)


def _waiting(found: Sequence[Background], seconds: float) -> events.NoticeEvent:
    commands = ", ".join(f"`{process.command[:100]}` (pid {process.pid})" for process in found)
    message = f"the model has finished; waiting at most {seconds:.0f} s for {commands}"
    return events.NoticeEvent(
        code="background_awaited", message=message, details={"pids": [process.pid for process in found]}
    )


def left_processes(
    background: Iterable[Background], servers: Iterable[RunningServer]
) -> tuple[LeftProcess, ...]:
    """What calls and sessions left running, with the ports of those that listen; servers of other parents too.

    `background` may name a process twice, and processes inside of it: it is listed once, as it was named first.
    What has ended meanwhile is not listed.
    """
    by_pid: dict[int, LeftProcess] = {}
    for process in background:
        if not _lives(process.pid):
            continue
        first = next((pid for pid in _with_parents(process.pid) if pid in by_pid), None)
        if first is None or by_pid[first].tool_call_id != process.call_id:
            by_pid[process.pid] = _of(process)
        elif process.log_file:
            by_pid[first] = by_pid[first].model_copy(update={"log_file": process.log_file})
    _add_servers(by_pid, (server for server in servers if _lives(server.pid)))
    return tuple(by_pid[pid] for pid in sorted(by_pid))


def ended_processes(
    ended: Iterable[Background], servers: Iterable[RunningServer] = ()
) -> tuple[LeftProcess, ...]:
    """The processes that were to be ended and no longer run; `left_processes` has none of them.

    Args:
        ended: processes of calls and sessions.
        servers: servers that were to be ended, and listened when they were last looked for.
    """
    by_pid = {process.pid: _of(process) for process in ended if not _lives(process.pid)}
    _add_servers(by_pid, (server for server in servers if not _lives(server.pid)))
    return tuple(by_pid[pid] for pid in sorted(by_pid))


def _add_servers(by_pid: dict[int, LeftProcess], servers: Iterable[RunningServer]) -> None:
    for server in servers:
        known = by_pid.get(server.pid)
        by_pid[server.pid] = LeftProcess(
            pid=server.pid,
            command=server.command or (known.command if known else ""),
            tool_call_id=server.call_id or (known.tool_call_id if known else None),
            port=server.port,
            log_file=server.log_file or (known.log_file if known else None),
        )


def _of(process: Background) -> LeftProcess:
    return LeftProcess(
        pid=process.pid, command=process.command, tool_call_id=process.call_id, log_file=process.log_file
    )


def _with_parents(pid: int) -> Iterator[int]:
    """The process, its parent, and so on."""
    while pid > 1:
        yield pid
        process = Process.of(pid)
        pid = process.ppid if process else 0


def _lives(pid: int) -> bool:
    process = Process.of(pid)
    return process is not None and not process.gone
