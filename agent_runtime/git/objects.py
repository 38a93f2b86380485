"""Git objects: the file modes git stores and the ids of blobs. Source: gitformat-index(5) and git-hash-object(1)."""

from __future__ import annotations

import hashlib
import stat

REGULAR, EXECUTABLE, SYMLINK = 0o100644, 0o100755, 0o120000  # the only modes that a patch can express

UNKNOWN = bytes(20)  # the id of a blob whose content could not be read


def git_mode(st_mode: int) -> int:
    """Git's mode of a file; 0 for what git does not track (directories, sockets, FIFOs, devices)."""
    if stat.S_ISREG(st_mode):
        return EXECUTABLE if st_mode & 0o100 else REGULAR
    return SYMLINK if stat.S_ISLNK(st_mode) else 0


def blob_id(data: bytes) -> bytes:
    """The SHA-1 id (20 bytes) that git gives to a blob with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).digest()
