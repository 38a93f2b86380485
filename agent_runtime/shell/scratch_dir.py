"""A folder of the shell, with the pipes for the output of its commands, and the saved state for the next shell."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from agent_runtime.shell.shell_state import ShellState

_PREFIX = "agent-shell-"
_MEMORY = "/dev/shm"


class ScratchDir:
    """Creates the folder for the user of the shell. Raises OSError when it cannot be created anywhere."""

    def __init__(self, user: str | None) -> None:
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError:  # the disk is full, and it takes a shell to remove something from it
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_MEMORY))
        self._user = user
        self._give(self._folder)
        self.state = ShellState(self._folder)

    @property
    def name(self) -> str:
        """A name that is unique on this machine."""
        return self._folder.name

    def pipe(self, name: str) -> tuple[Path, int]:
        """Make a FIFO. Raises OSError.

        Returns its path, which may be removed once it is open for writing (/dev/stdout stays valid), and a descriptor
        that reads it.
        """
        if not self._folder.is_dir():  # `rm -rf /tmp/*` is nothing unusual
            self._folder.mkdir(0o700, parents=True)
            self._give(self._folder)
        path = self._folder / name
        os.mkfifo(path, 0o600)
        try:
            self._give(path)
            return path, os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Remove the folder and its contents."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _give(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user)
