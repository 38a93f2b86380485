"""Reading files that other programs control, and getting old contents back."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import struct
import zlib

from agent_runtime.changes.content_store import ContentStore
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.entries import IN_GIT, LONG_TEXT, NOWHERE, Entry, pack_stat, unpack
from agent_runtime.git.ident import IdentAttribute
from agent_runtime.git.objects import BINARY_LIMIT, UNKNOWN, Blobs, blob_id, git_mode
from agent_runtime.lazy import dataclass
from agent_runtime.system.byte_paths import link_target, open_quietly

log = logging.getLogger(__name__)

KEEP_LIMIT = 64 << 20  # bytes; a larger file is not held in memory
_HASH_LIMIT = 512 << 20  # bytes; a larger file is known by its stat alone
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Content:
    """What a file held when it was read. `data` is None when it is too large or cannot be read."""

    stat: os.stat_result
    oid: bytes
    data: bytes | None
    long_text: bool = False  # too large, and without a NUL
    error: OSError | None = None

    @property
    def binary(self) -> bool:
        """Whether it is not text, or not known to be."""
        return self.data is None or b"\0" in self.data

    def entry(self, offset: int) -> Entry:
        """Return the entry that is remembered for it."""
        return unpack(pack_stat(self.stat, self.oid, offset))


def read_content(path: bytes, *, regular: bool = False, deadline: Deadline | None = None) -> Content | None:
    """Read a regular file or the target of a symlink; None for anything else and for what does not exist.

    FIFOs and devices are not opened, which could wake a writer or have other effects. The stat is from before the
    reading: when the file changes meanwhile, it will be found to differ.

    Args:
        path: absolute.
        regular: it is known to be a regular file.
        deadline: after it, a large file is known by its stat alone.
    """
    try:
        if not regular:
            st = os.lstat(path)
            if stat.S_ISLNK(st.st_mode):
                target = link_target(path)
                return Content(st, blob_id(target), target)
            if not stat.S_ISREG(st.st_mode):
                return None
        return _read_regular(path, deadline)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # no permission, a disk that fails, or not a regular file any more
        return stat_content(path, error)


def stat_content(path: bytes, error: OSError | None = None) -> Content | None:
    """Return a file known by its stat alone; None for what is neither a regular file nor a symlink."""
    try:
        st = os.lstat(path)
    except OSError:
        return None
    return Content(st, UNKNOWN, None, error=error) if git_mode(st.st_mode) else None


def sha256_of(path: bytes, data: bytes | None) -> str:
    """Return the hash of the data, or of the file where the data is not in memory; empty when it cannot be read."""
    if data is not None:
        return hashlib.sha256(data).hexdigest()
    try:
        with open(path, "rb", opener=open_quietly) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class Contents:
    """Old contents of text files, from wherever they are kept. No diff needs those of binary files.

    Args:
        store: for those that git does not have.
        workspace: absolute.
    """

    def __init__(self, store: ContentStore, workspace: bytes) -> None:
        self._store = store
        self._workspace = workspace

    @property
    def full(self) -> bool:
        """Whether a content was not kept for lack of space."""
        return self._store.full

    def keep(self, content: Content, *, binary: bool = False) -> int:
        """Keep text, and with `binary` also small binary files. Returns the offset for the entry."""
        if content.long_text:
            return LONG_TEXT
        if content.data is None or (content.binary and not (binary and len(content.data) <= BINARY_LIMIT)):
            return NOWHERE
        return self._store.add(content.data)

    def load(self, entry: Entry, blobs: Blobs) -> bytes | None:
        """Return the content of an entry; None when it was not kept."""
        if entry.offset >= 0:
            try:
                return self._store.get(entry.offset)
            except (OSError, zlib.error, struct.error):
                log.warning("an old content cannot be read", exc_info=True)
                return None
        return blobs.get(entry.oid) if entry.offset == IN_GIT else None

    def release(self, entry: Entry) -> None:
        """Release the content of an entry, which is not needed any more."""
        if entry.offset >= 0:
            self._store.release(entry.offset)

    def ident(self) -> IdentAttribute:
        """Return a reader of the repository's attribute `ident`, a context manager."""
        return IdentAttribute(self._workspace)

    def blobs(self) -> Blobs:
        """Return a reader of the repository's blobs, a context manager."""
        return Blobs(self._workspace)


def _read_regular(path: bytes, deadline: Deadline | None) -> Content | None:
    fd = open_quietly(path, os.O_RDONLY)
    try:
        st = os.fstat(fd)
        if not stat.S_ISREG(st.st_mode):
            return None
        if st.st_size > KEEP_LIMIT:
            return _long_content(fd, st, deadline)
        data = os.read(fd, st.st_size + 1)
        if len(data) != st.st_size:  # it grows or shrinks, or its file system reports no size
            pieces = [data]
            while chunk := os.read(fd, _CHUNK):
                pieces.append(chunk)
                if len(pieces) * _CHUNK > KEEP_LIMIT:
                    return Content(st, UNKNOWN, None)
            data = b"".join(pieces)
        return Content(st, blob_id(data), data)
    finally:
        os.close(fd)


def _long_content(fd: int, st: os.stat_result, deadline: Deadline | None) -> Content:
    if st.st_size > _HASH_LIMIT:
        return Content(st, UNKNOWN, None)
    digest, text = hashlib.sha1(b"blob %d\0" % st.st_size, usedforsecurity=False), True
    while chunk := os.read(fd, _CHUNK):
        digest.update(chunk)
        text = text and b"\0" not in chunk
        if deadline and deadline.passed:
            return Content(st, UNKNOWN, None)
    return Content(st, digest.digest(), None, text)
