"""A file read for good: its bytes, and everything about it that a change has to keep."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

from agent_runtime.errors import ToolError
from agent_runtime.files.safe_paths import Place, refuse_special

MAX_SIZE = 256 << 20  # bytes; a larger file is not held in memory to be edited
_BLOCK = 1 << 20
_UNKEPT = ("security.capability",)  # the kernel takes capabilities away from a program that is written to


@dataclass(frozen=True)
class Snapshot:
    """A file as it was when it was read."""

    data: bytes
    status: os.stat_result
    attributes: dict[str, bytes] = field(default_factory=dict)


def snapshot(place: Place, shown: str, limit: int = MAX_SIZE) -> Snapshot:
    """Read a regular file. Never blocks: anything else is refused before it is opened, and after.

    Raises ToolError for what is no regular file or larger than `limit` bytes, FileNotFoundError when
    nothing is there.
    """
    fd = open_regular(place, shown)
    try:
        status = os.fstat(fd)
        if status.st_size > limit:
            raise ToolError(
                f"{shown} has {status.st_size:,} bytes; at most {limit:,} are taken here. Use the shell."
            )
        chunks: list[bytes] = []
        room = limit + 1  # a file of /proc or /sys has a size of 0, another may be growing
        while room > 0 and (chunk := os.read(fd, min(room, max(_BLOCK, status.st_size + 1)))):
            chunks.append(chunk)
            room -= len(chunk)
        if not room:
            raise ToolError(f"{shown} grows past {limit:,} bytes while it is read")
        return Snapshot(b"".join(chunks), status, _attributes(fd))
    finally:
        os.close(fd)


def snapshot_link(place: Place) -> Snapshot:
    """A symlink itself: its text as data."""
    status = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    return Snapshot(os.fsencode(os.readlink(place.name, dir_fd=place.folder)), status)


def open_regular(place: Place, shown: str) -> int:
    """A descriptor to read a regular file by. The caller closes it."""
    found = place.lstat()
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown)
    refuse_special(place.real, found, shown)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(place.name, flags, dir_fd=place.folder)
    try:
        refuse_special(place.real, os.fstat(fd), shown)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _attributes(fd: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(fd, name) for name in os.listxattr(fd) if name not in _UNKEPT}
    except OSError:
        return {}
