"""What a shell hands to its successor: variables, functions, aliases, options, traps and its directory.

It is written down when the shell has nothing to do for a moment (so that one which is killed, or replaced by
`exec`, loses no more than its last command) and when it ends or is told to stop."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

_WHOLE = b"# whole\n"


class ShellState:
    """The files of it, in a folder of the shell's own."""

    def __init__(self, folder: Path) -> None:
        self.end = folder / "end"
        self.before = folder / "before"

    @property
    def ended(self) -> bool:
        """Did the shell that ended write down all it had?"""
        return _is_whole(self.end)

    @property
    def kept(self) -> bool:
        """Is there the state before the last command?"""
        return _is_whole(self.before)

    def directory(self) -> Path | None:
        """Where the shell that ended was."""
        for state in (self.end, self.before):
            if _is_whole(state):
                return Path(os.fsdecode(_directory_of(state).read_bytes().removesuffix(b"\n")))
        return None

    def take_over(self) -> None:
        """Let `before` be what the next shell starts with, and make room for its own."""
        if self.ended:
            _directory_of(self.end).replace(_directory_of(self.before))
            self.end.replace(self.before)
        elif not self.kept:
            self.before.unlink(missing_ok=True)

    def forget(self) -> None:
        """The next shell starts with nothing."""
        self.end.unlink(missing_ok=True)
        self.before.unlink(missing_ok=True)


def save(state: Path) -> str:
    """The command that writes the state of the shell that executes it. It does not fail, whatever is set."""
    return (
        f"{{ {{ \\builtin pwd; }} >|{shlex.quote(str(_directory_of(state)))} && "
        "{ \\builtin declare -p; \\builtin declare -f; \\builtin declare -Fx; \\builtin alias -p; "
        "\\builtin shopt -p; \\builtin umask -p; \\builtin trap -p; \\builtin set +o; "
        f"\\builtin printf '# whole\\n'; }} >|{shlex.quote(str(state))}; }} 2>/dev/null || \\builtin :"
    )


def restore(state: Path, cwd: Path) -> str:
    """The command that makes the state that of the shell that executes it, in the directory `cwd`."""
    file = shlex.quote(str(state))
    return (
        f"if [[ -r {file} ]]; then "
        "\\builtin unset -v $(\\builtin compgen -e); "  # what the environment has and the shell had no longer
        "\\builtin shopt -s extglob; "  # without it a function with such a pattern is a syntax error
        f"\\builtin . {file}; PWD={shlex.quote(str(cwd))}; fi"
    )


def _directory_of(state: Path) -> Path:
    return state.with_suffix(".cwd")


def _is_whole(state: Path) -> bool:
    try:
        return state.read_bytes().endswith(_WHOLE)
    except OSError:
        return False
