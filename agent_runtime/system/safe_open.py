"""Opening files that others control: a regular file or an error, at once, whatever the path leads to.

FIFOs, devices and sockets are refused before they are opened, because opening one can wait or have effects.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class NotRegularError(OSError):
    """The path leads to something other than a regular file."""


def open_regular(path: str | bytes | Path, *, dir_fd: int | None = None, follow: bool = False) -> int:
    """Open a regular file for reading and return the descriptor, which the caller closes.

    Args:
        path: the file, relative to the directory open as `dir_fd` when that is given.
        dir_fd: descriptor of a directory.
        follow: follow a symlink in the last component. Those before it are always followed.

    Raises:
        NotRegularError: it is a directory, a device, a FIFO, a socket, or a symlink that is not followed.
        OSError: it cannot be opened.
    """
    _check_regular(os.stat(path, dir_fd=dir_fd, follow_symlinks=follow), path)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    fd = os.open(path, flags, dir_fd=dir_fd)
    try:
        _check_regular(os.fstat(fd), path)  # the file may have been replaced after the first check
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_bounded(path: Path, limit: int, *, inside: Path | None = None) -> bytes:
    """Return at most `limit` + 1 bytes of a regular file: one more than `limit` shows that there are more.

    Args:
        path: the file. Symlinks are followed.
        limit: bytes.
        inside: refuse a file that is, with symlinks followed, not below this directory.

    Raises:
        OSError: it cannot be read, is not a regular file, is below /proc or /sys, or is outside of `inside`.
    """
    with open(open_regular(path, follow=True), "rb", buffering=0) as file:
        real = Path(f"/proc/self/fd/{file.fileno()}").readlink()
        if real.parts[1] in ("proc", "sys"):  # regular files by type, but they expose this process's secrets
            raise NotRegularError(errno.EINVAL, "not a regular file", str(path))
        if inside is not None and not real.is_relative_to(inside.resolve()):
            raise OSError(errno.EPERM, f"outside of {inside}", str(path))
        data = bytearray()
        while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
            data += piece
        return bytes(data)


def _check_regular(status: os.stat_result, path: str | bytes | Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(errno.EINVAL, "not a regular file", os.fsdecode(path))
