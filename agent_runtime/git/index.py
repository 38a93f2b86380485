"""git's index: which files are tracked, and with which stat and blob. Read here, because git would refresh it.

Format: gitformat-index(5), versions 2 to 4, with the split index (extension `link`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

_STAT = struct.Struct(">10I")  # ctime s, ns, mtime s, ns, dev, ino, mode, uid, gid, size
_MASK = 0xFFFFFFFF
_ENTRY = 60  # bytes of an entry's stat and SHA-1 id
_SHA1 = 20  # bytes
UNVOUCHED = bytes(_ENTRY)  # in place of an entry: the name is tracked, but nothing is known about its content
_RACY_NS = 50_000_000  # a file changed this shortly before the index was written may have changed after it

Tracked = dict[bytes, dict[bytes, bytes]]  # directory -> name -> 60 bytes: stat and id, as in the index
_Entries = list[tuple[bytes, bytes]]  # name, 60 bytes

INDEX_ERRORS = (OSError, ValueError, IndexError, struct.error)  # what reading an index may raise


def read_index(path: bytes, prefix: bytes = b"", id_bytes: int = _SHA1) -> tuple[Tracked, int]:
    """Read an index.

    Args:
        path: the file.
        prefix: only entries whose names begin with it; names are returned without it.
        id_bytes: of an object id. Only SHA-1 ids are compared with contents.

    Returns:
        The tracked files, and when the index was written in ns (0: there is none).

    Raises:
        OSError: it cannot be read.
        ValueError, IndexError, struct.error: its form is not known.
    """
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            written = os.fstat(file.fileno()).st_mtime_ns
            data = file.read()
    except FileNotFoundError:
        return {}, 0
    entries, rest = _parse(data, id_bytes)
    link = _link(rest, id_bytes)
    if link is not None:
        entries = _joined(path, entries, link, id_bytes)
    tracked: Tracked = {}
    for name, raw in entries:
        if name.startswith(prefix) and raw[26] & 0xF0 in (0x80, 0xA0):  # regular files and symlinks
            folder, _, base = name[len(prefix) :].rpartition(b"/")
            tracked.setdefault(folder, {})[base] = raw if id_bytes == _SHA1 else UNVOUCHED
    return tracked, written


def vouches(raw: bytes, st: os.stat_result, written: int) -> bool:
    """Whether the index says that this file is its blob: the same stat, from long enough before it was written."""
    cs, cn, ms, mn, _dev, ino, mode, _uid, _gid, size = _STAT.unpack_from(raw)
    return (
        (size, ino, ms, mn) == (st.st_size & _MASK, st.st_ino & _MASK, *_split(st.st_mtime_ns))
        and (cs, cn) == _split(st.st_ctime_ns)
        and (mode & 0o170100) == (st.st_mode & 0o170100)
        and max(st.st_mtime_ns, st.st_ctime_ns) < written - _RACY_NS
    )


def oid_of(raw: bytes) -> bytes:
    """Return the id of the blob in an index entry."""
    return raw[40:60]


def _split(ns: int) -> tuple[int, int]:
    return (ns // 1_000_000_000) & _MASK, ns % 1_000_000_000


def _parse(data: bytes, id_bytes: int) -> tuple[_Entries, bytes]:
    """The entries, and what follows them: extensions and a checksum."""
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("an index of an unknown form")
    entries: _Entries = []
    at, name = 12, b""
    for _ in range(count):
        start = at
        at += 40 + id_bytes
        at += 4 if data[at] & 0x40 else 2  # flags
        if version == 4:
            strip, at = _offset(data, at)
            end = data.index(b"\0", at)
            name = name[: len(name) - strip] + data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            name = data[at:end]
            at = start + ((end - start + 8) & ~7)
        entries.append((name, data[start : start + _ENTRY]))
    return entries, data[at:]


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """The variable width number of git's pack format, as index version 4 uses it."""
    byte = data[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 127)
    return value, at + 1


def _link(extensions: bytes, id_bytes: int) -> bytes | None:
    at = 0
    while at + 8 <= len(extensions) - id_bytes:
        kind, size = struct.unpack_from(">4sI", extensions, at)
        if kind == b"link":
            return extensions[at + 8 : at + 8 + size]
        at += 8 + size
    return None


def _joined(path: bytes, own: _Entries, link: bytes, id_bytes: int) -> _Entries:
    """A split index: the shared entries without the deleted ones, some replaced, and those of its own."""
    shared_id = link[:id_bytes]
    if not any(shared_id):
        return own
    shared = Path(os.fsdecode(path)).with_name(f"sharedindex.{shared_id.hex()}")
    entries, _ = _parse(shared.read_bytes(), id_bytes)
    if len(link) == id_bytes:
        return entries + own
    deleted, at = _bitmap(link, id_bytes)
    replaced, _ = _bitmap(link, at)
    replacements = iter(own)
    for number in sorted(replaced):
        entries[number] = (entries[number][0], next(replacements)[1])
    return [entry for number, entry in enumerate(entries) if number not in deleted] + list(replacements)


def _bitmap(data: bytes, at: int) -> tuple[set[int], int]:
    """The numbers of the bits that are set in an EWAH bitmap (gitformat-bitmap(5)), and where it ends."""
    _, count = struct.unpack_from(">II", data, at)
    words = struct.unpack_from(f">{count}Q", data, at + 8)
    return set(_bits(words)), at + 8 + 8 * count + 4


def _bits(words: tuple[int, ...]) -> Iterator[int]:
    at = position = 0
    while at < len(words):
        marker = words[at]
        run, literals = (marker >> 1) & _MASK, marker >> 33
        if marker & 1:
            yield from range(position, position + 64 * run)
        position += 64 * run
        for word in words[at + 1 : at + 1 + literals]:
            yield from (position + bit for bit in range(64) if word >> bit & 1)
            position += 64
        at += 1 + literals
