"""Finds the processes that belong to a call, including those that double-forked or created a session."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import field
from itertools import takewhile

from agent_runtime.lazy import dataclass
from agent_runtime.shell.log_writer import LogWriter
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.process_tree import children, descendants, lineage
from agent_runtime.system.processes import Process, now


def marker_of(name: str) -> str:
    """Return a value of processes.MARKER that no other runtime uses."""
    return f"{os.getpid()}.{name}"


@dataclass(frozen=True)
class Background:
    """What a call left running. `log_file` is None when its output goes elsewhere; `started` is Unix time."""

    pid: int
    command: str
    log_file: str | None
    started: float
    call_id: str


@dataclass
class CallProcesses:
    """The processes that a call has started.

    A process is the call's when it was started after the call began, in its control group, below its shell, or as an
    orphan that this process adopted; unless its group, or where there are none its marker, shows that it descends from
    something else (a server of an earlier call). A process whose marker cannot be read (`sudo`, `env -i`) has that of
    its parent. What has only the marker of the shell, or none, is the call's when it was started before its end.

    Attributes:
        root: pid of the shell that runs the call.
        marker: value of processes.MARKER in the environment of this call's programs.
        root_marker: that of the shell itself, which its subshells have too.
        call_id: for `Background`.
        group: the group that the call's processes are born into, where groups can be had.
        log_writer: writes what they print after the call, where anything can.
        started: Unix time.
    """

    root: int
    marker: str
    root_marker: str
    call_id: str
    group: ControlGroup | None = None
    log_writer: LogWriter | None = None
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self._began, self._closed = now(), math.inf
        known = [*descendants(self.root), *children(os.getpid())]
        known += self._others(known)
        self._before = {process for process in known if process.pid != self.root}

    def close(self) -> None:
        """Note that the call is over: what the shell starts from now on belongs to another call."""
        self._closed = now()

    def living(self) -> list[Process]:
        """Return the living processes without the shell, parents before their children."""
        found = descendants(self.root, skip=self._is_anothers)
        # its marker cannot be read while it is being started
        helper = self.log_writer.pid if self.log_writer else 0
        for child in children(os.getpid()):
            if (
                child.pid not in (self.root, helper)
                and not child.gone
                and not self._is_anothers(child)
                and self._is_own(child)
            ):
                found += [child, *descendants(child.pid, skip=self._is_anothers)]
        return found + [process for process in self._others(found) if not self._is_anothers(process)]

    @property
    def over(self) -> bool:
        """Whether all processes have ended."""
        return not (self.group and self.group.pids()) and not self.living()

    @property
    def empty_group(self) -> ControlGroup | None:
        """The control group, when there is no process in it any more."""
        return self.group if self.group and not self.group.pids() else None

    def background(self) -> list[Background]:
        """Return the processes as they are reported to the model: the topmost of each tree."""
        living = self.living()
        pids = {process.pid for process in living}
        log_file = self.log_writer.path if self.log_writer else None
        return [
            Background(process.pid, process.command, log_file, self.started, self.call_id)
            for process in living
            if process.ppid not in pids
        ]

    def kill(self) -> None:
        """Send SIGKILL to all processes in the control group but the shell. Blocking. Does nothing without a group."""
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
        return process in self._before or (self._closed < math.inf and not self._is_own(process))

    def _is_own(self, process: Process) -> bool:
        grouped = self.group.holds(process.pid) if self.group else None
        if grouped is not None:
            return grouped
        markers = (above.marker or "" for above in takewhile(_is_below_here, lineage(process)))
        # of this runtime, and not of another inside a tool of this one
        marker = next((marker for marker in markers if marker.startswith(marker_of(""))), None)
        if marker:
            return marker in (self.marker, self.root_marker)
        is_tool = process.session != os.getsid(
            0
        )  # otherwise it is a child that this program started for itself
        return is_tool and self._began <= process.start <= self._closed


def _is_below_here(process: Process) -> bool:
    return process.pid != os.getpid()
