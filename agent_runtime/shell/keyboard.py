"""The keyboard of a session: writes the model's input to the program's terminal, or to the pipe of its stdin."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.lazy import lazy_pattern
from agent_runtime.system.terminate import ready

TIMEOUT = 5.0  # seconds for the program to take what is typed
LINE_LIMIT = 4095  # bytes; the line discipline drops the rest of a longer line (N_TTY_BUF_SIZE in the kernel)
_LINE_END = lazy_pattern(rb"[\r\n\x04]")


class Keyboard:
    """Writes input to a program.

    Args:
        fd: the master of a pseudo-terminal, or the writing end of a pipe; owned from now on, made non-blocking. -1: the
            program has an empty stdin.
        is_terminal: which of the two it is.
        program: a descriptor that can be read when the program has ended.
    """

    def __init__(self, fd: int, *, is_terminal: bool, program: int) -> None:
        if fd >= 0:
            os.set_blocking(fd, False)
        self.fd = fd
        self._is_terminal, self._program = is_terminal, program
        self._unfinished = 0  # bytes typed since the last end of a line

    @property
    def takes_keys(self) -> bool:
        """Whether the program reads single keys from its terminal, as editors do, and not whole lines."""
        try:
            return not termios.tcgetattr(self.fd)[3] & termios.ICANON
        except (termios.error, OSError, ValueError):
            return False

    async def type(self, data: bytes) -> None:
        """Write all of the input.

        Raises ToolError, before anything is typed, for a line that the terminal would cut, and OSError when the program
        does not read or has closed its stdin.
        """
        if self.fd < 0:
            raise OSError(errno.EPIPE, "its stdin is at its end")
        if self._is_terminal:
            self._check_lines(data)
        typed = 0
        with anyio.move_on_after(TIMEOUT), memoryview(data) as view:
            while typed < len(data) and not _is_readable(self._program):
                typed += await self._write(view[typed:])
        if typed < len(data) and not _is_readable(self._program):
            raise OSError(errno.EAGAIN, f"{len(data) - typed} of {len(data)} bytes were not taken")

    def close(self) -> None:
        """Close the keyboard. The program reads the end of its input, or a hang-up of its terminal."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def give_away(self) -> list[int]:
        """Return its descriptor, if it is open, to be closed by others. Nothing can be typed from now on."""
        fd, self.fd = self.fd, -1
        return [fd] if fd >= 0 else []

    async def _write(self, data: memoryview) -> int:
        try:
            return os.write(self.fd, data)
        except BlockingIOError:  # the program does not read, and the buffer is full
            if _is_hung_up(self.fd):  # then it would look writable all the time
                raise OSError(errno.EIO, "it has closed its terminal") from None
            await ready(self._program, write=self.fd)
            return 0
        except BrokenPipeError:
            raise OSError(errno.EPIPE, "it has closed its stdin") from None

    def _check_lines(self, data: bytes) -> None:
        # in canonical mode the kernel takes all bytes and drops what is beyond the limit
        *lines, rest = _LINE_END.split(data)
        with contextlib.suppress(termios.error):
            if termios.tcgetattr(self.fd)[3] & termios.ICANON:
                first, *others = [*lines, rest]
                longest = max(self._unfinished + len(first), *map(len, others), 0)
                if longest > LINE_LIMIT:
                    raise ToolError(
                        f"chars: a line of {longest} bytes; a terminal takes at most {LINE_LIMIT} bytes a line while "
                        "the program reads lines. Nothing was typed. Write the text to a file, or start the program "
                        "without `tty`"
                    )
                self._unfinished = len(rest) + (0 if lines else self._unfinished)
            else:
                self._unfinished = 0


def _is_readable(fd: int) -> bool:
    return bool(_poll(fd, select.POLLIN))


def _is_hung_up(fd: int) -> bool:
    return bool(_poll(fd, 0) & select.POLLHUP)


def _poll(fd: int, events: int) -> int:
    poll = select.poll()
    poll.register(fd, events)
    return next((event for _, event in poll.poll(0)), 0)
