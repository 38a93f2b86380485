"""The folder of a run, for what is too large for the event stream: whole outputs, diffs, logs of servers."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from agent_runtime.engine.run_config import RunConfig


def open_run_dir(config: RunConfig) -> tuple[Path, str]:
    """Create the folder of the run. When the state directory is not writable, create a temporary one.

    Returns the folder, and why the state directory could not be used ("" when it is used).
    """
    try:
        config.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(config.run_dir, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        import tempfile

        return Path(tempfile.mkdtemp(prefix="agent-runtime-")), f"{config.run_dir}: {error.strerror}"
    return config.run_dir, ""


def hold(folder: Path) -> int:
    """Lock a run's folder for as long as the returned descriptor is open. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def remove_empty(folder: Path) -> None:
    """Remove empty folders below the folder of a run, and the folder itself when it is empty."""
    for below, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # it is not empty
            Path(below).rmdir()


def own_files(config: RunConfig, run_dir: Path) -> list[Path]:
    """Return the files that the runtime itself writes, which are not changes made by the agent."""
    ends = ("sqlite3", "sqlite3-wal", "sqlite3-shm", "locks")
    threads = [config.state_dir / f"threads.{end}" for end in ends]
    record = [Path(config.request.record).absolute()] if config.request.record else []
    return [config.state_dir / "runs", config.state_dir / "bin", run_dir, *threads, *record]
