"""What is done to an open file that is to take another's place: owner, mode, attributes, bytes, sync."""

from __future__ import annotations

import errno
import os
import stat

from agent_runtime.files.snapshot import Snapshot


class OwnerLost(OSError):
    """A new file here would belong to someone else than the old one."""


def dress(fd: int, like: Snapshot | None, owner: tuple[int, int] | None, executable: bool | None) -> None:
    """Give it the owner, mode and attributes of `like`, or else the `owner`; `executable` sets or takes that bit.

    Owner first: changing it takes set-user-ID bits away. Raises OwnerLost.
    """
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if like:
        mode = stat.S_IMODE(like.status.st_mode)
        _give(fd, like.status.st_uid, like.status.st_gid)
        for name, value in like.attributes.items():
            try:
                os.setxattr(fd, name, value)
            except OSError:
                continue  # of a kind that only the system sets
    elif owner:
        _give(fd, *owner)
    if executable is not None:
        mode = mode | (mode & 0o444) >> 2 if executable else mode & ~0o111
    os.fchmod(fd, mode)


def write(fd: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync(fd: int) -> None:
    """Down to the disk."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise


def overwrite(folder: int, name: str, data: bytes) -> None:
    """In place, where the file cannot be replaced."""
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        write(fd, data)
        os.ftruncate(fd, len(data))
        sync(fd)
    finally:
        os.close(fd)


def sync_folder(folder: int) -> None:
    """So that a new name in it lasts."""
    try:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        return  # a folder that may be written to, not read
    try:
        sync(fd)
    finally:
        os.close(fd)


def _give(fd: int, uid: int, gid: int) -> None:
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) == (uid, gid):
        return
    try:
        os.fchown(fd, uid, gid)
    except PermissionError as error:
        raise OwnerLost(error.errno, error.strerror) from error
