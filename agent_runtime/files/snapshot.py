"""A file as it was read: its bytes, and everything about it that a change has to keep."""

from __future__ import annotations

import errno
import os
from dataclasses import field

from agent_runtime.errors import ToolError
from agent_runtime.files.place import Place, refuse_special
from agent_runtime.lazy import dataclass
from agent_runtime.system.safe_open import open_regular

MAX_SIZE = 256 << 20  # bytes; a larger file is not held in memory to be edited
_BLOCK = 1 << 20
_DROPPED = ("security.capability",)  # the kernel removes the capabilities of a program when it is written to


@dataclass(frozen=True)
class Snapshot:
    """A file as it was when it was read."""

    data: bytes
    status: os.stat_result
    attributes: dict[str, bytes] = field(default_factory=dict)


def snapshot(place: Place, display: str, limit: int = MAX_SIZE) -> Snapshot:
    """Read a regular file.

    Raises ToolError for what is not a regular file or has more than `limit` bytes, FileNotFoundError when nothing is
    there.
    """
    fd = open_file(place, display)
    try:
        status = os.fstat(fd)
        if status.st_size > limit:
            raise ToolError(
                f"{display} has {status.st_size:,} bytes; at most {limit:,} are accepted here. Use the shell."
            )
        chunks: list[bytes] = []
        remaining = limit + 1  # a file of /proc or /sys has a size of 0, another may be growing
        while remaining > 0 and (chunk := os.read(fd, min(remaining, max(_BLOCK, status.st_size + 1)))):
            chunks.append(chunk)
            remaining -= len(chunk)
        if not remaining:
            raise ToolError(f"{display} grows beyond {limit:,} bytes while it is read")
        return Snapshot(b"".join(chunks), status, _attributes(fd))
    finally:
        os.close(fd)


def snapshot_link(place: Place) -> Snapshot:
    """Read a symlink itself: its text is the data. Raises OSError when it is not one."""
    status = os.stat(place.name, dir_fd=place.folder, follow_symlinks=False)
    return Snapshot(os.fsencode(os.readlink(place.name, dir_fd=place.folder)), status)


def open_file(place: Place, display: str) -> int:
    """Open a regular file for reading and return the descriptor, which the caller closes.

    Raises ToolError for what is not a regular file, FileNotFoundError when nothing is there.
    """
    found = place.lstat()
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), display)
    refuse_special(place.real, found, display)
    return open_regular(place.name, dir_fd=place.folder)


def _attributes(fd: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(fd, name) for name in os.listxattr(fd) if name not in _DROPPED}
    except OSError:
        return {}
