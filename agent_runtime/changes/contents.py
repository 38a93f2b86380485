"""Reading files without being caught by them, and getting old contents back."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import struct
import zlib
from dataclasses import dataclass

from agent_runtime.changes.content_store import ContentStore
from agent_runtime.changes.entries import IN_GIT, LONG_TEXT, NOWHERE, Entry, pack_stat, unpack
from agent_runtime.git.objects import UNKNOWN, blob_id, git_mode
from agent_runtime.git.repository import Blobs
from agent_runtime.system.byte_paths import link_target, open_quietly

log = logging.getLogger(__name__)

KEEP_LIMIT = 64 << 20  # bytes; a larger file is no longer read whole
_HASH_LIMIT = 512 << 20  # bytes; a larger one is known by its stat alone


@dataclass(frozen=True)
class Content:
    """What a file held when it was read. `data` is None when it is too large or may not be read."""

    stat: os.stat_result
    oid: bytes
    data: bytes | None
    long_text: bool = False  # too large, and without a NUL

    @property
    def binary(self) -> bool:
        """No text, or not known to be."""
        return self.data is None or b"\0" in self.data

    def entry(self, offset: int) -> Entry:
        """What is remembered of it."""
        return unpack(pack_stat(self.stat, self.oid, offset))


def read_content(path: bytes, *, regular: bool = False) -> Content | None:
    """A regular file's bytes or a symlink's target; None for anything else and for what is not there.

    A FIFO or a device is never opened: that alone would wake a writer, or do something. The stat is of
    before the reading: when the file changes meanwhile, it will be found to differ.

    Args:
        path: absolute.
        regular: known to be a regular file.
    """
    try:
        if not regular:
            st = os.lstat(path)
            if stat.S_ISLNK(st.st_mode):
                target = link_target(path)
                return Content(st, blob_id(target), target)
            if not stat.S_ISREG(st.st_mode):
                return None
        return _read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # no permission, a disk that fails, or no regular file any more
        with contextlib.suppress(OSError):
            st = os.lstat(path)
            return Content(st, UNKNOWN, None) if git_mode(st.st_mode) else None
        return None


def sha256_of(path: bytes, data: bytes | None) -> str:
    """Of the data, or of the file where the data is too large to be held; empty when it cannot be read."""
    if data is not None:
        return hashlib.sha256(data).hexdigest()
    try:
        with open(path, "rb", opener=open_quietly) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class Contents:
    """Old contents, from wherever they are kept."""

    def __init__(self, store: ContentStore, workspace: bytes) -> None:
        self._store = store
        self._workspace = workspace

    def keep(self, content: Content, *, binary: bool) -> int:
        """Keep text, and binary files when asked to. Returns the offset for the entry."""
        if content.long_text:
            return LONG_TEXT
        if content.data is None or (content.binary and not binary):
            return NOWHERE
        return self._store.add(content.data)

    def load(self, entry: Entry, blobs: Blobs) -> bytes | None:
        """The content of an entry; None when nobody has it."""
        if entry.offset >= 0:
            try:
                return self._store.get(entry.offset)
            except (OSError, zlib.error, struct.error):
                log.warning("a content that was kept cannot be read", exc_info=True)
                return None
        return blobs.get(entry.oid) if entry.offset == IN_GIT else None

    def release(self, entry: Entry) -> None:
        """Nobody will ask for this one again."""
        if entry.offset >= 0:
            self._store.release(entry.offset)

    def blobs(self) -> Blobs:
        """The repository's, for as long as it is entered."""
        return Blobs(self._workspace)


def _read_regular(path: bytes) -> Content | None:
    fd = open_quietly(path, os.O_RDONLY)
    try:
        st = os.fstat(fd)
        if not stat.S_ISREG(st.st_mode):
            return None
        if st.st_size > KEEP_LIMIT:
            return _long_content(fd, st)
        data = os.read(fd, st.st_size + 1)
        if len(data) != st.st_size:  # it grows or shrinks, or is of a kind that tells no size
            while chunk := os.read(fd, 1 << 20):
                data += chunk
        return Content(st, blob_id(data), data)
    finally:
        os.close(fd)


def _long_content(fd: int, st: os.stat_result) -> Content:
    if st.st_size > _HASH_LIMIT:
        return Content(st, UNKNOWN, None)
    digest, text = hashlib.sha1(b"blob %d\0" % st.st_size, usedforsecurity=False), True
    while chunk := os.read(fd, 1 << 20):
        digest.update(chunk)
        text = text and b"\0" not in chunk
    return Content(st, digest.digest(), None, text)
