"""Captures the output of a process, at the speed of its pipe and in bounded memory.

It is read into a buffer (see output_buffer): in the event loop, since most outputs are short, and a longer one in a
thread. The pipe of processes that outlive the call is handed to a helper.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import anyio

from agent_runtime.shell.log_writer import LogWriter, is_at_end
from agent_runtime.shell.output_buffer import PIPE_BYTES, OutputBuffer
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.system.processes import Process

SHORT_OUTPUT = 4096  # bytes; what is shorter is fitted in less time than a thread takes to start
_LONG_OUTPUT = 256 << 10  # bytes, after which a thread reads
_QUIET_SECONDS = 0.05  # without output, after which what is left running is taken to be idle
_SETTLE_SECONDS = 1.0  # the longest wait for that
# more than the kernel holds of a terminal's output: it does not say how much that is
_TERMINAL_BYTES = 1 << 17
_FORK_SECONDS, _LOOK_SECONDS = (
    0.1,
    0.002,
)  # the longest wait for programs to be executed, and between two looks at them


def _is_forked(process: Process) -> bool:
    """Whether a process is busy between fork and exec, when it still has the output of its parent."""
    parent = Process.of(process.ppid)
    return process.state in "RD" and parent is not None and process.argv == parent.argv


class OutputCapture(OutputBuffer):
    """The output of one command, which is read until no process can write any more.

    Args:
        fd: the reading end of a pipe, or a pseudo-terminal's master; owned from now on, made non-blocking.
        open_log: opens the file for what does not fit in memory; called at most once.
        on_data: called with this object and the number of bytes that were just read; in a thread where one can be
            started, from the beginning.
    """

    def __init__(
        self,
        fd: int,
        open_log: Callable[[], BoundedLog],
        *,
        on_data: Callable[[OutputCapture, int], None] | None = None,
    ) -> None:
        super().__init__(open_log)
        self._on_data = on_data
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._changed = anyio.Event()
        self._awaited = False
        self._done = False
        self._stopping = False
        self._wake = -1  # wakes the thread
        self._thread: threading.Thread | None = None
        os.set_blocking(fd, False)
        with contextlib.suppress(OSError):  # a terminal, or the user's limit of pipe memory is reached
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._may_start_thread = True
        self._loop.add_reader(fd, self._read_in_loop)
        if on_data:
            self._read_in_thread()

    async def more(self, seen: int) -> None:
        """Wait until there are more than `seen` bytes, or the output has ended."""
        while True:
            self._awaited = True  # set before the check: the thread changes the state before it checks this
            if self.total > seen or self.ended:
                return
            await self._changed.wait()

    async def settle(self, writers: Callable[[], Iterable[Process]]) -> None:
        """Wait for output that the command has printed and that is not here yet, because it goes through another
        process (`exec > >(tee log)`): until the end, or until nothing comes and no such process is busy, at most a
        second. Processes without an input are not waited for: what a command starts with `&` is one, as soon as its
        redirections are made.
        """
        began, seen = time.monotonic(), -1
        while not self._thread and seen < self.total:  # what the loop has not seen yet
            seen = self.total
            self._read_in_loop()
        while not self.ended and time.monotonic() < began + _SETTLE_SECONDS:
            found = list(writers())
            filters = [process for process in found if process.has_input]
            if not filters:
                if time.monotonic() > began + _FORK_SECONDS or not any(map(_is_forked, found)):
                    return
                await anyio.sleep(_LOOK_SECONDS)
                continue
            seen = self.total
            with anyio.move_on_after(_QUIET_SECONDS):
                await self.more(seen)
            if self.total == seen and not any(process.state in "RD" for process in filters):
                return

    def is_open_in(self, process: Process) -> bool:
        """Whether a process has the writing end open; False where that may not be looked at."""
        return os.readlink(f"/proc/self/fd/{self._fd}") in process.open_files().values()  # noqa: PTH115

    async def drain(self) -> None:
        """Read what has been written so far, then stop reading."""
        self._stopping = True
        self._read_in_loop()
        if self._thread:
            os.eventfd_write(self._wake, 1)
        while True:
            self._awaited = True
            if self._done:
                return
            await self._changed.wait()

    def close(self) -> None:
        """Close the descriptors and the file. Only after `drain`."""
        if self._thread:
            self._thread.join()
        elif not self._done:
            self._loop.remove_reader(self._fd)
        for fd in (self._fd, self._wake):
            if fd >= 0:
                os.close(fd)
        self._fd = self._wake = -1
        if self.log:
            self.log.close()

    def hand_over(self, *, hold: Sequence[int] = ()) -> LogWriter:
        """Give the pipe to a helper process, which writes the log until no process can write any more. Only after
        `drain`.

        `hold`: descriptors that the helper keeps open until then; given away like the pipe.
        """
        log, source, self._fd = self.spilled(), self._fd, -1
        return LogWriter(source, log, hold=hold)

    def _read_in_thread(self) -> None:
        """Let a thread read from now on, where one can be started: not at a limit of processes or descriptors."""
        self._may_start_thread = False
        thread = threading.Thread(target=self._pump, name="output", daemon=True)
        try:
            self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        except OSError:
            return
        self._loop.remove_reader(self._fd)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:
            self._loop.add_reader(self._fd, self._read_in_loop)

    def _pump(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll()  # a FIFO that no process has opened yet would look like one at its end
        last: int | None = None  # bytes to read after `drain`, because a flood may never end
        while not self.ended and (last is None or last > 0):
            if self._stopping and last is None:
                last = self._waiting()
            with self.lock:
                taken = self.take(self._fd)
            if taken:
                if self._on_data:
                    self._on_data(self, taken)
                last = None if last is None else last - taken
                self._notify()
            elif not self.ended:
                # `_stopping` may have been set, and more have come, since it was checked above
                if last is not None:
                    break
                poll.poll()
        self.ended = self.ended or is_at_end(self._fd)
        self._done = True
        self._notify()

    def _read_in_loop(self) -> None:
        """Read what there is, where no thread does that."""
        if self._thread or self._done:
            return
        remaining = self._waiting() if self._stopping else 1
        while remaining > 0 and not self.ended:
            with self.lock:
                count = self.take(self._fd)
            if not count:
                break
            if self._on_data:
                self._on_data(self, count)
            remaining -= count
        if self.ended or self._stopping:
            self._loop.remove_reader(self._fd)
            self.ended = self.ended or is_at_end(self._fd)
            self._done = True
        elif self.total > _LONG_OUTPUT and self._may_start_thread:
            self._read_in_thread()
        self._notify()

    def _waiting(self) -> int:
        """The bytes that have been written and not read, at least."""
        if os.isatty(self._fd):
            return _TERMINAL_BYTES
        try:
            return int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def _notify(self) -> None:
        if not self._awaited:  # waking the loop for each piece would halve the speed
            return
        self._awaited = False
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._announce)

    def _announce(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
