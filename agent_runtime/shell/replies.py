"""A terminal's answers to the queries of a program, typed when the program is ready to read them."""

from __future__ import annotations

import contextlib
import os
import termios
import threading
import time

_SECONDS = 1.0  # for a program to switch off the echo after its query
_POLL = 0.01


class Replies:
    """Types answers into a terminal.

    A program that asks its terminal has switched the echo off, or does so soon (`printf '\\e[6n'; read -sd R x`). Where
    it does not, for example when a file with control sequences is printed, an answer would be echoed into the output
    and be read as a command: it is dropped.

    Args:
        keyboard: the master of the pseudo-terminal; not owned.
    """

    def __init__(self, keyboard: int) -> None:
        self._keyboard = keyboard
        self._lock = threading.Lock()
        self._waiting = b""
        self._closed = False

    def give(self, replies: bytes) -> None:
        """Type answers, now or when the program is ready. Does not block."""
        with self._lock:
            if not replies or self._closed:
                return
            if not self._waiting and self._is_read():
                self._type(replies)
                return
            is_first = not self._waiting
            self._waiting += replies
        if is_first:
            try:
                threading.Thread(target=self._wait, name="replies", daemon=True).start()
            except RuntimeError:  # at the limit of processes
                self._waiting = b""

    def close(self) -> None:
        """Stop typing. To be called before the keyboard is closed."""
        with self._lock:
            self._closed = True

    def _wait(self) -> None:
        end = time.monotonic() + _SECONDS
        while True:
            time.sleep(_POLL)
            with self._lock:
                is_over = self._closed or time.monotonic() > end
                if is_over or self._is_read():
                    waiting, self._waiting = self._waiting, b""
                    if not is_over:
                        self._type(waiting)
                    return

    def _is_read(self) -> bool:
        try:
            modes = termios.tcgetattr(self._keyboard)[3]
        except termios.error:
            return False
        return not (modes & termios.ECHO and modes & termios.ICANON)

    def _type(self, replies: bytes) -> None:
        with contextlib.suppress(OSError):  # the program does not read
            os.write(self._keyboard, replies)
