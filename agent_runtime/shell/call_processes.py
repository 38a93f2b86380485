"""Which processes belong to a call: also those that double-forked or opened a session of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent_runtime.system.processes import Process, children, descendants

if TYPE_CHECKING:
    from agent_runtime.system.cgroup import ControlGroup


def mark_of(name: str) -> str:
    """A value for processes.MARK that no other runtime uses."""
    return f"{os.getpid()}.{name}"


@dataclass(frozen=True)
class Background:
    """What a call left running. `log_file` is None when it writes nowhere we know; `started` is Unix time."""

    pid: int
    command: str
    log_file: str | None
    started: float
    call_id: str


@dataclass
class CallProcesses:
    """The processes that one call started.

    A process is the call's when it came up after the call began, in its control group, below its shell, or as an
    orphan that this process adopted; unless its group, or where there are none its mark, says that it descends from
    something else (a server of an earlier call).

    Args:
        root: pid of the shell that runs the call.
        mark: value of processes.MARK in the environment of this call's programs.
        root_mark: that of the shell itself, which its subshells still show.
        call_id: for `Background`.
        group: the group that the call's processes are born into, where groups can be had.
        keeper: pid of the process that keeps its log, whose mark cannot be read while it is being started.
    """

    root: int
    mark: str
    root_mark: str
    call_id: str
    group: ControlGroup | None = None
    log_file: str | None = None
    keeper: int = 0
    started: float = field(default_factory=time.time)
    closed: bool = False  # the call is over: what the shell starts from now on is another call's

    def __post_init__(self) -> None:
        known = [*descendants(self.root), *children(os.getpid())]
        known += self._others(known)
        self._before = set(known)

    def living(self) -> list[Process]:
        """Its processes that live now, without the shell; parents before their children."""
        found = descendants(self.root, skip=self._is_anothers)
        for child in children(os.getpid()):
            if (
                child.pid not in (self.root, self.keeper)
                and not child.gone
                and not self._is_anothers(child)
                and self._is_ours(child)
            ):
                found += [child, *descendants(child.pid, skip=self._is_anothers)]
        return found + [process for process in self._others(found) if not self._is_anothers(process)]

    @property
    def over(self) -> bool:
        """Has all of it ended?"""
        return not (self.group and self.group.pids()) and not self.living()

    def background(self) -> list[Background]:
        """Its processes as the model is told of them: of each tree the top one."""
        living = self.living()
        pids = {process.pid for process in living}
        return [
            Background(process.pid, process.command, self.log_file, self.started, self.call_id)
            for process in living
            if process.ppid not in pids
        ]

    def kill(self) -> None:
        """SIGKILL to all in its group but the shell. Blocks. Without a group nothing happens."""
        if self.group:
            self.group.kill(spare=self.root)

    def _others(self, found: Sequence[Process]) -> list[Process]:
        """Those of the group that have not been found otherwise."""
        if self.group is None:
            return []
        pids = set(self.group.pids()) - {process.pid for process in found} - {self.root}
        others = [Process.of(pid) for pid in pids]
        return [process for process in others if process and not process.gone]

    def _is_anothers(self, process: Process) -> bool:
        return process in self._before or (self.closed and not self._is_ours(process))

    def _is_ours(self, process: Process) -> bool:
        grouped = self.group.holds(process.pid) if self.group else None
        if grouped is not None:
            return grouped
        mark = process.mark or ""
        if mark.startswith(mark_of("")):  # of this runtime, and not of another inside a tool of ours
            return mark in (self.mark, self.root_mark)
        return process.session != os.getsid(0)  # else it is a child that this program started for itself
