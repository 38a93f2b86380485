"""Signals as the kernel handles them, below what Python offers: signalfd(2), and the signals that glibc reserves."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress

from agent_runtime.system.signals import SENT_BY_PROCESSES

_RESERVED = (32, 33)  # glibc does not let programs block or handle them
_RT_SIGACTION = {"x86_64": 13, "aarch64": 134}  # the number of rt_sigaction(2)


def ignore_reserved() -> None:
    """Ignore the signals that glibc reserves for itself, unless it handles them: they would end the program."""
    syscall, number = ctypes.CDLL(None, use_errno=True).syscall, _RT_SIGACTION.get(os.uname().machine)
    if number is None:
        return
    ignore = struct.pack("QQQQ", int(signal.SIG_IGN), 0, 0, 0)  # the kernel's struct sigaction
    for reserved in _RESERVED:
        present = ctypes.create_string_buffer(len(ignore))
        if syscall(number, reserved, None, present, 8) == 0 and not any(present.raw[:8]):
            syscall(number, reserved, ignore, None, 8)


class SignalDescriptor:
    """Receives signals through signalfd(2), which reports their senders. For programs without threads.

    Args:
        numbers: the signals; blocked from now on.

    Raises:
        OSError: the kernel has no descriptor for them.
    """

    _SIZE = 128  # bytes of struct signalfd_siginfo

    def __init__(self, numbers: Collection[int]) -> None:
        self.previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        mask = sum(1 << number - 1 for number in numbers).to_bytes(128, "little")  # sigset_t of glibc
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "signalfd failed")

    def fileno(self) -> int:
        """Return the descriptor, which can be read when a signal has arrived."""
        return self._fd

    def received(self) -> Iterator[tuple[int, int]]:
        """Yield the signals that have arrived: their numbers, and the pids of their senders (see `sender_of`).

        Each is yielded as soon as it is read: a sender may exit at any moment.
        """
        with suppress(BlockingIOError):
            while data := os.read(self._fd, self._SIZE):
                number, _, code, pid = struct.unpack_from("IiiI", data)
                yield number, pid if code in SENT_BY_PROCESSES else 0

    def close(self) -> None:
        """Close the descriptor. The signals stay blocked."""
        os.close(self._fd)
