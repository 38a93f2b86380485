"""The processes that a run leaves behind, and those that end with it: `left` and `ended` of `complete`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent_runtime.dev_servers.server import RunningServer
from agent_runtime.protocol.events import LeftProcess
from agent_runtime.shell.call_processes import Background
from agent_runtime.system.processes import Process


def left_processes(
    background: Iterable[Background], servers: Sequence[RunningServer]
) -> tuple[LeftProcess, ...]:
    """What calls and sessions left running, with the ports of those that listen; servers of other parents too."""
    by_pid = {process.pid: _of(process) for process in background if _lives(process.pid)}
    for server in servers:
        known = by_pid.get(server.pid)
        by_pid[server.pid] = LeftProcess(
            pid=server.pid,
            command=server.command or (known.command if known else ""),
            tool_call_id=server.call_id or (known.tool_call_id if known else None),
            port=server.port,
            log_file=server.log_file or (known.log_file if known else None),
        )
    return tuple(by_pid[pid] for pid in sorted(by_pid))


def ended_processes(before: Iterable[Background]) -> tuple[LeftProcess, ...]:
    """Those that ran before the run was closed, and do not run any more."""
    return tuple(_of(process) for process in before if not _lives(process.pid))


def _of(process: Background) -> LeftProcess:
    return LeftProcess(
        pid=process.pid, command=process.command, tool_call_id=process.call_id, log_file=process.log_file
    )


def _lives(pid: int) -> bool:
    process = Process.of(pid)
    return process is not None and not process.gone
