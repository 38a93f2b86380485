"""A folder with the commands that the runtime adds to PATH of the tools: `apply_patch`."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_NAMES = ("apply_patch", "applypatch")
_MODULE = "agent_runtime.files.patch.command"
_MODE = 0o755


def own_commands(state_dir: Path, *, for_other_user: bool) -> Path | None:
    """Return the folder, which is created when it is missing; None when it cannot be.

    It is in the state directory, or, where the tools run as another user, in the temporary folder.
    """
    folder = (
        Path(tempfile.gettempdir()) / f"agent-commands-{os.geteuid()}"
        if for_other_user
        else state_dir / "bin"
    )
    text = _script()
    with suppress(OSError):
        folder.mkdir(mode=_MODE, exist_ok=True)
        status = folder.lstat()
        # in the temporary folder anybody may have made it
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022:
            for name in _NAMES:
                _write(folder / name, text)
            return folder
    return None


def with_folder(path: str, folder: Path | None) -> str:
    """Return a PATH with the folder as its last entry, so that a command of the image comes first."""
    return path if folder is None or ":" in str(folder) else f"{path}:{folder}"


def _script() -> str:
    # the module is found where this one is, also when that folder is on sys.path by PYTHONPATH, which -I ignores
    root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.append({root!r}); from {_MODULE} import main; sys.exit(main(sys.argv[1:]))"
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(code)} "$@"\n'


def _write(file: Path, text: str) -> None:
    """Write a command, unless it is there already: another run may be executing it."""
    with suppress(OSError):
        if file.read_text() == text and stat.S_IMODE(file.stat().st_mode) == _MODE:
            return
    fd, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(fd, "w") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), _MODE)
    Path(name).replace(file)
