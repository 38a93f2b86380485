"""Operations on the open file that replaces another: owner, mode, attributes, content, sync."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from agent_runtime.files.snapshot import Snapshot

_BLOCK = 4 << 20  # bytes


class OwnerLost(OSError):
    """The new file would belong to another user or group than the file it replaces."""


def copy_attributes(fd: int, like: Snapshot | None, executable: bool | None) -> None:
    """Give an open file the owner, mode and extended attributes of `like`; `executable` sets or clears that bit.

    Raises OwnerLost when this process may not give the file to its owner.
    """
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if like:
        mode = stat.S_IMODE(like.status.st_mode)
        _set_owner(fd, like.status.st_uid, like.status.st_gid)  # first: it clears set-user-ID bits
        for name, value in like.attributes.items():
            try:
                os.setxattr(fd, name, value)
            except OSError:
                continue  # only the system sets attributes of this kind
    if executable is not None:
        mode = mode | (mode & 0o444) >> 2 if executable else mode & ~0o111
    os.fchmod(fd, mode)


def write(fd: int, data: bytes, check: Callable[[], None] = lambda: None) -> None:
    """Write all of `data`, calling `check`, which may raise, before each block."""
    view = memoryview(data)
    while view:
        check()
        view = view[os.write(fd, view[:_BLOCK]) :]


def sync(fd: int) -> None:
    """Flush an open file to the disk, where the file system supports it. Raises OSError."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not supported by the file system
            raise


def overwrite(folder: int, name: str, data: bytes) -> None:
    """Write a file in place, where it cannot be replaced. Raises OSError."""
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        write(fd, data)
        os.ftruncate(fd, len(data))
        sync(fd)
    finally:
        os.close(fd)


def sync_folder(folder: int) -> None:
    """Flush a directory, so that a new name in it survives a crash. Raises OSError."""
    try:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        return  # a directory that may be written to, but not read
    try:
        sync(fd)
    finally:
        os.close(fd)


def _set_owner(fd: int, uid: int, gid: int) -> None:
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) == (uid, gid):
        return
    try:
        os.fchown(fd, uid, gid)
    except PermissionError as error:
        raise OwnerLost(error.errno, error.strerror) from error
