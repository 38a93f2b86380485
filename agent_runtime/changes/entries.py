"""What is remembered of one file: its stat, its content's name (git's blob id), and where that is kept.

A tree of 100,000 files is held in memory, so an entry is packed into 64 bytes and only unpacked to be looked
at.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from typing import NamedTuple

from agent_runtime.git.objects import UNKNOWN, git_mode

# Where a content is kept: an offset into the store (>= 0), or one of these.
IN_GIT = -1  # the repository has the blob
NOWHERE = -2  # binary or large: only its id is known
PENDING = -3  # not looked at yet
LONG_TEXT = -4  # text that is not held in memory: only its id is known

_SIGNATURE = struct.Struct("<IQqqQ")
_WHOLE = struct.Struct("<IQqqQ20sq")
SIGNATURE_BYTES = _SIGNATURE.size
PENDING_TAIL = struct.pack("<q", PENDING)  # how a packed entry ends that is not looked at yet

RACY_NS = 50_000_000  # longer than any kernel's clock tick: a write this soon may leave the same times


class Entry(NamedTuple):
    """A regular file or a symlink. `mode` is git's, times are in ns, `oid` is the SHA-1 of git's blob."""

    mode: int
    size: int
    mtime: int
    ctime: int
    ino: int
    oid: bytes
    offset: int

    def pack(self) -> bytes:
        """64 bytes, that begin with the stat signature."""
        return _WHOLE.pack(*self)

    def looks_like(self, other: Entry) -> bool:
        """The same kind, size and time of writing."""
        return (self.mode, self.size, self.mtime) == (other.mode, other.size, other.mtime)

    def same(self, other: Entry | None) -> bool:
        """Is it the same file to git: mode and content?"""
        if other is None or self.mode != other.mode:
            return False
        if self.oid == UNKNOWN or other.oid == UNKNOWN:
            return self[1:5] == other[1:5]
        return self.oid == other.oid


@dataclass(frozen=True)
class Change:
    """One path before and after; None: no file. With `source`, it was moved here from there."""

    path: bytes
    old: Entry | None
    new: Entry | None
    source: bytes | None = None


def unpack(packed: bytes) -> Entry:
    """The reverse of `Entry.pack`."""
    return Entry._make(_WHOLE.unpack(packed))


def inode_of(packed: bytes) -> int:
    """The inode in a packed entry."""
    return int.from_bytes(packed[SIGNATURE_BYTES - 8 : SIGNATURE_BYTES], "little")


def signature(st: os.stat_result) -> bytes:
    """Bytes that change when a file does: no program can set ctime, it moves when mtime is set back."""
    return _SIGNATURE.pack(git_mode(st.st_mode), st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)


def pack_stat(st: os.stat_result, oid: bytes, offset: int) -> bytes:
    """A packed entry as `stat` tells it.

    A file written within the last clock tick could be written again without a trace in its times; its ctime
    is kept as 0, so that the next look reads it once more. A clock that stands far off makes that a read too
    many.
    """
    changed = st.st_ctime_ns
    ctime = 0 if abs(time.time_ns() - changed) < RACY_NS else changed
    return _WHOLE.pack(git_mode(st.st_mode), st.st_size, st.st_mtime_ns, ctime, st.st_ino, oid, offset)
