"""`--confine`: what a tool starts may write below some folders only, by Linux's Landlock (linux/landlock.h).

Landlock restricts a thread and all that descends from it, and cannot be undone. So a confined program is started from a
thread of its own, which has restricted itself first; the runtime is not restricted. Reading and running are not either.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from agent_runtime.system.threads import call_in_new_thread

T = TypeVar("T")

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls, the same on every architecture
_VERSION = 1  # flag of landlock_create_ruleset
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38  # prctl(2)

_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))  # directories, files, links, sockets, FIFOs, devices
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")


class LandlockUnavailable(OSError):
    """The kernel has no Landlock, or one that cannot restrict truncation (before Linux 6.2)."""


class _Ruleset(ctypes.Structure):
    _fields_ = [("handled_access_fs", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def check() -> None:
    """Raise LandlockUnavailable when the kernel cannot confine programs."""
    version = _call(_CREATE_RULESET, None, 0, _VERSION)
    if version < 3:
        raise LandlockUnavailable(
            0, f"version {version} of Landlock cannot restrict truncation; Linux 6.2 or later can"
        )


class Confinement:
    """Starts programs that, with all that they start, write below `roots` only, and to harmless devices.

    Raises LandlockUnavailable, and OSError when a folder cannot be opened.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        check()
        handled = _WRITE_FILE | _REMOVE_AND_MAKE | _REFER | _TRUNCATE
        self._fd = _call(_CREATE_RULESET, ctypes.byref(_Ruleset(handled)), ctypes.sizeof(_Ruleset), 0)
        os.set_inheritable(self._fd, False)
        for path in [*roots, *(Path("/dev") / name for name in _DEVICES)]:
            self._allow(path, handled)

    def __call__(self, start: Callable[[], T]) -> T:
        """Call `start` in a restricted thread.

        Returns its result, and raises what it raises; ThreadLimitReached when no thread can be started.
        """

        def restricted() -> T:
            if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
            _call(_RESTRICT_SELF, self._fd, 0)
            return start()

        return call_in_new_thread(restricted)

    def close(self) -> None:
        """Close the ruleset; what was started stays confined."""
        os.close(self._fd)

    def _allow(self, path: Path, access: int) -> None:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if not path.is_dir():
                access &= _WRITE_FILE | _TRUNCATE  # a file takes no more than these
            _call(_ADD_RULE, self._fd, _PATH_BENEATH, ctypes.byref(_Beneath(access, fd)), 0)
        finally:
            os.close(fd)


def _call(number: int, *arguments: object) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise LandlockUnavailable(error, f"Landlock: {os.strerror(error)}")
    return result
