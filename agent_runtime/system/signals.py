"""Signals and their senders: which ones a program can handle, and who has sent one."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from agent_runtime.system.process_tree import all_processes, descendants, lineage
from agent_runtime.system.processes import Process

STOPPING = frozenset((signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
# The CPU raises them for an invalid instruction or address, where no Python code can handle them.
FAULTS = frozenset((signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV))
_HARMLESS = frozenset((signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH))
_IGNORED_BY_PYTHON = frozenset((signal.SIGPIPE, signal.SIGXFSZ))
# All signals that would end or stop the program, except SIGKILL and SIGSTOP, which cannot be handled.
CATCHABLE = frozenset(
    signal.valid_signals() - _HARMLESS - _IGNORED_BY_PYTHON - {signal.SIGKILL, signal.SIGSTOP}
)

SENT_BY_PROCESSES = (0, -1, -6)  # si_code of kill(2), sigqueue(3) and tgkill(2); others carry no pid
_IDLE_SHELL = 1


def name_of(number: int) -> str:
    """Return the name of a signal; real-time signals are numbered from SIGRTMIN."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def sender_of(info: signal.struct_siginfo) -> int:
    """Return the pid of the sender; 0 for the kernel and for senders outside the PID namespace."""
    return info.si_pid if info.si_code in SENT_BY_PROCESSES else 0


def may_come_from_below(sender: int, root: int) -> bool:
    """Return whether a signal came from a program that the run with the pid `root` has started.

    A sender that has already exited counts as one while the run has more processes than an idle shell.
    """
    process = Process.of(sender)
    if sender == 0 or sender == root:
        return False
    if process and any(above.pid == root for above in lineage(process)):
        return True
    if process and process.lives:
        return False
    return len(started_by(root)) > _IDLE_SHELL


def of_another_run(process: Process, marker: str | None) -> bool:
    """Return whether a tool of a run has started a process, and this program was not started by a tool of that run.

    Args:
        process: the sender of a signal.
        marker: the marker of this program (see `Process.marker`); None when no tool has started it.
    """
    own = _runtime_of(marker)
    return any(_runtime_of(above.marker) not in (None, own) for above in lineage(process))


def tools_live(marker: str | None) -> bool:
    """Return whether a program lives that a tool of a run has started; runs of `marker` excepted, see of_another_run.

    Then a signal whose sender has exited, as `pkill` does at once, may come from a tool.
    """
    own = _runtime_of(marker)
    return any(_runtime_of(process.marker) not in (None, own) for process in all_processes().values())


def _runtime_of(marker: str | None) -> str | None:
    """Return the part of a marker that is the same for all calls of a run (see shell.call_processes)."""
    return marker.partition(".")[0] if marker else None


def started_by(root: int) -> list[Process]:
    """Return the living programs of a run's tools: descendants outside the session of the run."""
    run = Process.of(root)
    return [process for process in descendants(root) if run and process.session != run.session]


def be_prompt() -> None:
    """Give this thread real-time priority, where permitted, to inspect a sender before it exits (`pkill`)."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
