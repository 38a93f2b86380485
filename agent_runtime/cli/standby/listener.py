"""Where the connections of a standby come from: a Unix socket, or a process that passes them on."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

_BACKLOG = 64


class Listener(Protocol):
    """A source of connections."""

    def fileno(self) -> int:
        """The descriptor that is readable when there is a connection."""
        ...

    def accept(self) -> socket.socket:
        """Return the next connection. Raises EOFError when there will be no more."""
        ...

    def close(self) -> None:
        """Accept no more connections."""


class PathListener:
    """Connections to a socket in the filesystem."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self.fileno, self.close = listening.fileno, listening.close

    def accept(self) -> socket.socket:
        """Return the next connection."""
        return self._socket.accept()[0]


class ParentListener:
    """Connections that the parent process sends as descriptors, one in each message, over a SOCK_SEQPACKET socket.

    No other process can connect, and no path is needed. The parent sends the first one when it has received a byte.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        with suppress(OSError):  # the parent has gone
            self._socket.send(b"\0")
        self.fileno, self.close = self._socket.fileno, self._socket.close

    def accept(self) -> socket.socket:
        """Return the next connection. Raises EOFError when the parent has gone."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        except ConnectionResetError:  # the parent has ended before it read the first byte
            descriptors = []
        if not descriptors:
            raise EOFError
        return socket.socket(fileno=descriptors[0])


@contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    """Listen on a socket at `path` that only this user can use. A socket without a listener is replaced.

    Raises:
        OSError: the path cannot be used; EADDRINUSE when another standby listens there.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(Path(path).absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # of two that start at the same time, only one can bind
            refuse_when_live(path)
            Path(path).unlink(missing_ok=True)
            mask = os.umask(0o177)
            try:
                listener.bind(path)
            finally:
                os.umask(mask)
            listener.listen(_BACKLOG)
        finally:
            os.close(folder)
        made = Path(path).stat().st_ino
        try:
            yield listener
        finally:
            with suppress(FileNotFoundError):
                if Path(path).stat().st_ino == made:
                    Path(path).unlink()


def refuse_when_live(path: str) -> None:
    """Raise OSError when something listens at this path, or when it is not a socket."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe, suppress(ConnectionRefusedError):
        probe.connect(path)
        raise OSError(errno.EADDRINUSE, "another standby listens there")
