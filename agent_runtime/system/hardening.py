"""Keeps the runtime's keys from the tools it starts, which may run as the same user.

A process can read another one's secrets in its environment, its memory and its core dump. The kernel checks all three
like ptrace(2), and allows them for a process that is not dumpable with CAP_SYS_PTRACE only; so children never get that
capability, also when they are root. That has a cost: they cannot look into any process of another user, so `ss -p` and
`lsof` name no owner of such a socket. Besides, the keys are wiped from the environment that /proc shows.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)

# linux/prctl.h and linux/capability.h
PR_SET_DUMPABLE, PR_CAPBSET_DROP = 4, 24
CAP_SYS_PTRACE = 19


def harden(names: Collection[str]) -> None:
    """Protect this process, and remove these variables from its environment. To be called before any tool runs."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        log.warning("the process stays dumpable: %s", os.strerror(ctypes.get_errno()))
    libc.prctl(
        PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0
    )  # fails without privileges, where there is nothing to drop
    present = [name for name in names if name in os.environ]
    try:
        _wipe(present)
    except (OSError, ValueError) as error:
        log.warning("keys may stay visible in /proc/self/environ: %s", error)
    for name in present:
        del os.environ[name]


def _wipe(names: Collection[str]) -> None:
    """Overwrite the values in the block of memory that /proc/self/environ shows, which unsetenv does not change.

    Raises OSError and ValueError when /proc cannot be read.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])  # env_start and env_end, fields 50 and 51 of proc(5)
    if not 0 < start < end:
        return
    block = ctypes.string_at(start, end - start)
    at = 0
    for entry in block.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and os.fsdecode(name) in names:
            ctypes.memset(start + at + len(name) + 1, ord("x"), len(value))
        at += len(entry) + 1
