"""Whether a program waits for input: the system call that each of its processes is in, as /proc shows it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from agent_runtime.system.processes import Process

READING_SECONDS = 0.25  # of silence, after which a program that reads its stdin has answered
POLLING_SECONDS = 1.0  # the same for a program that waits for several things, of which its stdin may be one
# system call numbers of x86_64 and aarch64
_READ = {"x86_64": {0, 19}, "aarch64": {63, 65}}  # read, readv
_SELECT = {"x86_64": {23, 270}, "aarch64": {72}}  # select, pselect6
_POLL = {
    "x86_64": {7, 271, 232, 281, 441},
    "aarch64": {73, 22, 441},
}  # poll, ppoll, epoll_wait, epoll_pwait...
_WAIT = {"x86_64": {61, 247, 130, 34}, "aarch64": {260, 95, 133}}  # wait4, waitid, rt_sigsuspend, pause
_MACHINE = os.uname().machine


def waits_for_input(processes: Iterable[Process], stdin: str) -> float | None:
    """Return the seconds without output after which these processes count as waiting for input; None when they are
    busy, or when that cannot be known. `stdin`: the terminal's or the pipe's name in /proc/PID/fd.
    """
    polls = is_busy = False
    for process in processes:
        if process.state in "RD":
            return None
        try:
            number, *arguments = Path(f"/proc/{process.pid}/syscall").read_text().split()
            call = int(number)
        except (OSError, ValueError):  # not permitted, ended, or it runs
            return None
        first = int(arguments[0], 16) if arguments else 0
        selects = call in _SELECT.get(_MACHINE, ())
        reads = call in _READ.get(_MACHINE, ()) and process.open_files().get(first) == stdin
        if reads or (selects and first == 1):  # readline selects descriptor 0 alone
            return READING_SECONDS
        polls = polls or selects or call in _POLL.get(_MACHINE, ())
        is_busy = is_busy or not (
            selects or call in _POLL.get(_MACHINE, ()) or call in _WAIT.get(_MACHINE, ())
        )
    return POLLING_SECONDS if polls and not is_busy else None
