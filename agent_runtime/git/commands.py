"""Running git so that it reads only: no hook, filter, diff driver, file system monitor, lazy fetch or index refresh.

Four commands are ever run: `rev-parse`, `config --list`, `cat-file` and `check-attr`. `git replace` references are not
followed, since the index names the objects that were checked out, not their replacements.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import Popen

# No more than git needs to find its settings: other variables may hold keys.
_VARIABLES = frozenset({b"PATH", b"HOME", b"XDG_CONFIG_HOME", b"TMPDIR"})
_READ_ONLY = {
    b"GIT_OPTIONAL_LOCKS": b"0",
    b"GIT_TERMINAL_PROMPT": b"0",
    b"GIT_NO_LAZY_FETCH": b"1",
    b"GIT_ALLOW_PROTOCOL": b"none",  # a partial clone must not fetch
    b"LC_ALL": b"C",
}
_TIMEOUT_S = 10


def run_git(directory: bytes, *args: str) -> bytes:
    """Return the standard output of a git command.

    Raises:
        OSError: git cannot be started.
        subprocess.SubprocessError: it failed, or took longer than 10 s.
    """
    import subprocess

    done = subprocess.run(
        _command(*args), cwd=directory, env=_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=_TIMEOUT_S,
    )  # fmt: skip
    return done.stdout


def start_git(directory: bytes, *args: str) -> Popen[bytes]:
    """Start a git command with pipes for its input and output. Raises OSError."""
    import subprocess

    return subprocess.Popen(
        _command(*args), cwd=directory, env=_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _command(*args: str) -> list[str]:
    return ["git", "--no-replace-objects", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *args]


def _environment() -> dict[bytes, bytes]:
    return {name: value for name, value in os.environb.items() if name in _VARIABLES} | _READ_ONLY
