"""What is remembered about one file: its stat, the id of its content (git's blob id), and where that content is kept.

A tree of 100,000 files is held in memory, so an entry is packed into 64 bytes and unpacked when it is used.
"""

from __future__ import annotations

import os
import struct
import time
from typing import NamedTuple

from agent_runtime.git.objects import UNKNOWN, git_mode
from agent_runtime.lazy import dataclass

# Where a content is kept: an offset into the store (>= 0), or one of these.
IN_GIT = -1  # the repository has the blob
NOWHERE = -2  # binary or large: only its id is known
PENDING = -3  # not read yet
LONG_TEXT = -4  # text that is not held in memory: only its id is known

_SIGNATURE = struct.Struct("<IQQQQ")
_WHOLE = struct.Struct("<IQQQQ20sq")
SIGNATURE_BYTES = _SIGNATURE.size
_MODE_BYTES = 4  # of a signature: the mode
_WRITTEN_BYTES = 20  # the same: mode, size and time of writing
_OID_END = SIGNATURE_BYTES + len(UNKNOWN)
_NOT_READ = UNKNOWN + struct.pack("<q", NOWHERE)  # the rest of an entry that is known by its stat alone
_64_BITS = (1 << 64) - 1  # file systems keep times from before 1970 and after 2554, which wrap around
PENDING_TAIL = struct.pack("<q", PENDING)  # the end of a packed entry whose file was not read yet

RACY_NS = 50_000_000  # longer than any kernel's clock tick: a write this soon may leave the same times


class Entry(NamedTuple):
    """A regular file or a symlink.

    `mode` is git's, times are in ns modulo 2^64, `oid` is the SHA-1 id of git's blob.
    """

    mode: int
    size: int
    mtime: int
    ctime: int
    ino: int
    oid: bytes
    offset: int

    def pack(self) -> bytes:
        """Return 64 bytes that begin with the stat signature."""
        return _WHOLE.pack(*self)

    def looks_like(self, other: Entry) -> bool:
        """Whether kind, size and time of writing are the same."""
        return (self.mode, self.size, self.mtime) == (other.mode, other.size, other.mtime)

    def same(self, other: Entry | None) -> bool:
        """Whether it is the same file to git: mode and content."""
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


def is_same(packed: bytes, other: bytes | None) -> bool:
    """Return what `Entry.same` returns, of packed entries."""
    if other is None or packed[:_MODE_BYTES] != other[:_MODE_BYTES]:
        return False
    oid, other_oid = packed[SIGNATURE_BYTES:_OID_END], other[SIGNATURE_BYTES:_OID_END]
    if UNKNOWN in (oid, other_oid):
        return packed[:SIGNATURE_BYTES] == other[:SIGNATURE_BYTES]
    return oid == other_oid


def pack_by_stat(st: os.stat_result, old: bytes | None) -> bytes:
    """Return a packed entry of a file that was not read.

    Where kind, size and time of writing are those of the old entry, the content is taken to be the same.
    """
    seen = signature(st)
    if old and seen[:_WRITTEN_BYTES] == old[:_WRITTEN_BYTES]:
        return seen + old[SIGNATURE_BYTES:]
    return seen + _NOT_READ


def unpack(packed: bytes) -> Entry:
    """Return the entry that `Entry.pack` packed."""
    return Entry._make(_WHOLE.unpack(packed))


def inode_of(packed: bytes) -> int:
    """Return the inode of a packed entry."""
    return int.from_bytes(packed[SIGNATURE_BYTES - 8 : SIGNATURE_BYTES], "little")


def signature(st: os.stat_result) -> bytes:
    """Return bytes that change when the file does: no program can set ctime, which changes when mtime is set back."""
    mtime, ctime = st.st_mtime_ns & _64_BITS, st.st_ctime_ns & _64_BITS
    return _SIGNATURE.pack(git_mode(st.st_mode), st.st_size, mtime, ctime, st.st_ino)


def pack_stat(st: os.stat_result, oid: bytes, offset: int) -> bytes:
    """Return a packed entry with this stat.

    A file written within the last clock tick could be written again with the same times; its ctime is kept as 0, so
    that it is read once more the next time. A clock that is wrong costs a superfluous read.
    """
    changed = st.st_ctime_ns
    ctime = 0 if abs(time.time_ns() - changed) < RACY_NS else changed
    mtime = st.st_mtime_ns & _64_BITS
    return _WHOLE.pack(git_mode(st.st_mode), st.st_size, mtime, ctime & _64_BITS, st.st_ino, oid, offset)
