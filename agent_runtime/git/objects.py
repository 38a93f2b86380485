"""Git objects: file modes, ids of blobs, and reading blobs. Source: gitformat-index(5) and git-cat-file(1)."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from agent_runtime.git.commands import start_git

if TYPE_CHECKING:
    from subprocess import Popen

REGULAR, EXECUTABLE, SYMLINK = 0o100644, 0o100755, 0o120000  # the only modes that a patch can express

# Bytes; a larger binary file has no patch, since its cost would be that of the file.
BINARY_LIMIT = 4 << 20
UNKNOWN = bytes(20)  # the id of a blob whose content could not be read
_BATCH = 200  # blobs requested at a time: few enough that neither pipe can block the other


def git_mode(st_mode: int) -> int:
    """Return git's mode of a file; 0 for what git does not track (directories, sockets, FIFOs, devices)."""
    if stat.S_ISREG(st_mode):
        return EXECUTABLE if st_mode & 0o100 else REGULAR
    return SYMLINK if stat.S_ISLNK(st_mode) else 0


def blob_id(data: bytes) -> bytes:
    """Return the SHA-1 id (20 bytes) that git gives to a blob with this content."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.digest()


def blob_sizes(directory: bytes, oids: Sequence[bytes]) -> list[int]:
    """Return the sizes of blobs, -1 for each that the repository does not have. Raises OSError."""
    process = start_git(directory, "cat-file", "--batch-check=%(objectsize)")
    answers, _ = process.communicate(b"".join(oid.hex().encode() + b"\n" for oid in oids))
    sizes = [int(line) if line.isdigit() else -1 for line in answers.split(b"\n")[: len(oids)]]
    return sizes + [-1] * (len(oids) - len(sizes))


class Blobs:
    """Reads blobs by their id with one `git cat-file --batch`, which is started at the first request.

    Args:
        directory: a directory of the worktree.
    """

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._process: Popen[bytes] | None = None
        self._fetched: dict[bytes, bytes | None] = {}

    def __enter__(self) -> Blobs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end()

    def get(self, oid: bytes) -> bytes | None:
        """Return the content; None when the repository does not have it any more."""
        if oid not in self._fetched:
            self.fetch([oid])
        return self._fetched.get(oid)

    def fetch(self, oids: Sequence[bytes]) -> None:
        """Hold these blobs, and no others, in memory: one request for many is faster than one for each."""
        self._fetched = {}
        for at in range(0, len(oids), _BATCH):
            try:
                self._fetched |= self._request(oids[at : at + _BATCH])
            except (OSError, ValueError):
                self._end()  # the next request starts another process
                return

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.communicate()

    def _request(self, oids: Sequence[bytes]) -> dict[bytes, bytes | None]:
        process = self._process = self._process or start_git(self._directory, "cat-file", "--batch")
        assert process.stdin and process.stdout
        process.stdin.write(b"".join(oid.hex().encode() + b"\n" for oid in oids))
        process.stdin.flush()
        answers: dict[bytes, bytes | None] = {}
        for oid in oids:
            answer = process.stdout.readline().split()
            if len(answer) == 3:
                data = process.stdout.read(int(answer[2]) + 1)[:-1]
                answers[oid] = data if answer[1] == b"blob" else None
        return answers
