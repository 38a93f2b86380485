"""Notes for the model about the shell itself: why it was replaced or cannot be started, what `wait` waited for."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from agent_runtime.shell.call_processes import Background
from agent_runtime.shell.shell_state import ShellState


def new_shell(state: ShellState, since: str, directory: Path) -> str:
    """Return what the next shell will have of the one that ended.

    Args:
        state: what that one has saved.
        since: the commands whose effect is lost when it saved nothing at its end.
        directory: its working directory.
    """
    start = existing(directory)
    if state.ended:
        kept = "its directory, variables, functions and options (except `set -e`) were kept"
    elif state.kept:
        kept = f"its directory, variables, functions and options are as before {since}"
    else:
        kept = f"it starts in {start}; variables, functions and options are lost"
    if start != directory:
        kept += f", but {directory} no longer exists: it starts in {start}"
    return f"[the shell ended; the next command runs in a new one: {kept}]"


def waited_for(earlier: Sequence[Background]) -> str:
    """Return that a call waited in vain for what earlier calls left running."""
    pids = ", ".join(str(process.pid) for process in earlier)
    return (
        "[nothing that this call started was running any more. `wait` without arguments also waits for what earlier"
        f" calls left running (pid {pids}): name the pids to wait for]"
    )


def cannot_start(error: OSError) -> str:
    """Return why there is no shell."""
    is_limit = error.errno == errno.EAGAIN
    limit = "; the limit of processes is reached: end some first" if is_limit else ""
    return f"the shell cannot be started: {error.strerror or error}{limit}"


def moved(deleted: Path, found: Path) -> str:
    """Return that the working directory was deleted, and which one above it the shell is in now."""
    return f"[the working directory {deleted} no longer exists; now in {found}]"


def existing(path: Path) -> Path:
    """Return the directory, or the nearest one above it that exists."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))
