"""The state that a shell passes on to the next: variables, functions, aliases, options, traps, and its directory.

A shell saves it when it is idle (so that one which is killed, or replaced by `exec`, loses no more than its last
command) and when it ends or is asked to stop.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

# Bytes of memory of a shell whose state is not saved: the time in which bash lists its variables grows with the square
# of their number, to some three seconds for 30,000 of them.
LONG_SAVE = 8 << 20
_WHOLE = b"# whole\n"


class ShellState:
    """The files with the saved state, in a folder of the shell.

    Attributes:
        end: what a shell saves at its end.
        before: what it saved before its last command.
        jobs: pids of the background jobs of earlier calls, a line each.
    """

    def __init__(self, folder: Path) -> None:
        self.end = folder / "end"
        self.before = folder / "before"
        self.jobs = folder / "jobs"

    @property
    def ended(self) -> bool:
        """Whether the shell that ended saved all of its state."""
        return _is_whole(self.end)

    @property
    def kept(self) -> bool:
        """Whether the state before the last command was saved."""
        return _is_whole(self.before)

    def directory(self) -> Path | None:
        """The directory of the shell that ended; None when it saved no state."""
        for state in (self.end, self.before):
            if _is_whole(state):
                return Path(os.fsdecode(_directory_of(state).read_bytes().removesuffix(b"\n")))
        return None

    def take_over(self) -> None:
        """Let `before` be what the next shell starts with; `end` is free for its own."""
        if self.ended:
            _directory_of(self.end).replace(_directory_of(self.before))
            self.end.replace(self.before)
        elif not self.kept:
            self.before.unlink(missing_ok=True)

    def forget(self) -> None:
        """Discard the state: the next shell starts without one."""
        self.end.unlink(missing_ok=True)
        self.before.unlink(missing_ok=True)


def save(state: Path) -> str:
    """The command that saves the state of the shell that executes it. It does not fail, whatever options are set."""
    return (
        f"{{ {{ \\builtin pwd; }} >|{shlex.quote(str(_directory_of(state)))} && "
        "{ \\builtin declare -p; \\builtin declare -f; \\builtin declare -Fx; \\builtin alias -p; "
        "\\builtin shopt -p; \\builtin umask -p; \\builtin trap -p; \\builtin set +o; "
        f"\\builtin printf '# whole\\n'; }} >|{shlex.quote(str(state))}; }} 2>/dev/null || \\builtin :"
    )


def save_unless_long(state: Path) -> str:
    """The same, which does nothing in a shell with so many variables that it would take long (see LONG_SAVE)."""
    pages = "__agent_pages"
    used = f"(${{{pages}[1]-0}} - ${{{pages}[2]-0}}) * {os.sysconf('SC_PAGE_SIZE')}"
    return (
        f"{{ \\builtin read -ra {pages} </proc/$BASHPID/statm; }} 2>/dev/null || \\builtin :; "
        f"if (( {used} <= {LONG_SAVE} )); then \\builtin unset -v {pages}; {save(state)}; fi"
    )


def restore(state: Path, cwd: Path) -> str:
    """The command that restores a state in the shell that executes it, in the directory `cwd`."""
    file = shlex.quote(str(state))
    return (
        f"if [[ -r {file} ]]; then "
        "\\builtin unset -v $(\\builtin compgen -e); "  # variables of the environment that the shell had unset
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
