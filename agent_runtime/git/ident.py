"""git's attribute `ident`: files that have `$Id: <blob>$` in the worktree and `$Id$` in the blob.

`git apply` in a repository compares with the second form, so the diffs of such files are made of it, as git's own are.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING

from agent_runtime.git.commands import start_git
from agent_runtime.lazy import lazy_pattern

if TYPE_CHECKING:
    from subprocess import Popen

_EXPANDED = lazy_pattern(rb"\$Id:[^$\n]*\$")


def collapse_ident(data: bytes) -> bytes:
    """Return the text with every `$Id: ...$` as `$Id$`."""
    return _EXPANDED.sub(b"$Id$", data) if b"$Id:" in data else data


class IdentAttribute:
    """Looks paths up with one `git check-attr`, which is started at the first request.

    Args:
        directory: a directory of the worktree, to which paths are relative.
    """

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._process: Popen[bytes] | None = None
        self._failed = False

    def __enter__(self) -> IdentAttribute:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._process:
            self._process.communicate()

    def of(self, path: bytes) -> bool:
        """Return whether the file has the attribute; False where there is no repository."""
        if self._failed:
            return False
        try:
            self._process = self._process or start_git(
                self._directory, "check-attr", "--stdin", "-z", "ident"
            )
            assert self._process.stdin and self._process.stdout
            self._process.stdin.write(path + b"\0")
            self._process.stdin.flush()
            answer = b""
            while answer.count(b"\0") < 3:  # the path, the attribute, its value
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise BrokenPipeError("git check-attr has ended")
                answer += piece
            return answer.endswith(b"\0set\0")
        except OSError:
            self._failed = True
            return False
