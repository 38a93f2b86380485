"""The folder of files that a run writes for its tools: whole outputs, logs, large objects of the request."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from agent_runtime.system.credentials import FileCredentials


def log_folder(run_dir: Path, user: str | None) -> Path:
    """A folder in the run's own, or in the temporary folder when the user of the tools cannot get there.

    Args:
        run_dir: for this user only; others may then pass through it, and not list it.
        user: whom the tools run as; None for the user of this process.

    Raises OSError when it cannot be made.
    """
    folder = run_dir / "logs"
    credentials = FileCredentials.of(user) if user else None
    if credentials is None or credentials.are_ours:
        return folder  # made with the first log
    run_dir.chmod(stat.S_IMODE(run_dir.stat().st_mode) | 0o011)
    if not all(_may_enter(parent, credentials) for parent in folder.parents):
        folder = Path(tempfile.mkdtemp(prefix="agent-logs-"))
    folder.mkdir(exist_ok=True)
    os.chown(folder, credentials.uid, credentials.gid)
    folder.chmod(0o700)
    return folder


def _may_enter(folder: Path, who: FileCredentials) -> bool:
    status = folder.stat()
    if status.st_uid == who.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid in (who.gid, *who.groups):
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)
