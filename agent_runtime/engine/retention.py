"""Retention of the files of runs: whole outputs, diffs, logs of servers, transcripts.

Each run has a folder below `runs` in the state directory, and holds a lock on it until it ends. Folders older than a
limit are removed first, then the oldest ones until the rest is below a maximum size. A folder that is used by a run or
a server is never removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from agent_runtime.lazy import dataclass

OLDER_THAN = 30 * 86_400.0  # seconds
MAX_SIZE = 2 << 30  # bytes, all runs together
_INTERVAL = 3_600.0  # seconds between two cleanings at the start of a run
_STAMP = ".cleaned"
_REMOVED = ".removed"  # names of folders, one a line
_REMEMBERED = 10_000


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run: its size in bytes, and its last modification (seconds since the epoch)."""

    path: Path
    size: int
    modified: float


def clean(
    state_dir: Path,
    *,
    older_than: float = OLDER_THAN,
    max_size: int = MAX_SIZE,
    dry_run: bool = False,
) -> list[RunFolder]:
    """Remove the folders of old runs.

    Args:
        state_dir: the state directory.
        older_than: seconds; folders whose last modification is longer ago are removed.
        max_size: bytes; the oldest of the others are removed until the total size is below it.
        dry_run: remove nothing.

    Returns:
        The folders that were removed, or would be.
    """
    folders = sorted(_folders(state_dir / "runs"), key=lambda folder: folder.modified)
    total = sum(folder.size for folder in folders)
    oldest = time.time() - older_than
    wanted = []
    for folder in folders:
        if folder.modified < oldest or total > max_size:
            wanted.append(folder)
            total -= folder.size
    if not wanted:
        return []
    used = _used_below(state_dir / "runs")
    removed = [folder for folder in wanted if folder.path.name not in used and not is_held(folder.path)]
    if not dry_run:
        names = {folder.path.name for folder in removed}
        links = _links(state_dir / "runs", names)
        _note(state_dir, [*sorted(names), *(link.name for link in links)])
        for folder in removed:
            shutil.rmtree(folder.path, ignore_errors=True)
        for link in links:
            link.unlink(missing_ok=True)
    return removed


def clean_now_and_then(state_dir: Path) -> None:
    """Apply the default limits, unless that was done within the last hour."""
    stamp = state_dir / "runs" / _STAMP
    with suppress(OSError):
        if time.time() - stamp.stat().st_mtime < _INTERVAL:
            return
    with suppress(OSError):  # the state directory is not writable, so nothing is kept there
        stamp.touch()
        clean(state_dir)


def was_removed(state_dir: Path, name: str) -> bool:
    """Return whether a folder of this name was removed by `clean`; the latest ones are known."""
    try:
        return f"\n{name}\n" in "\n" + (state_dir / "runs" / _REMOVED).read_text("utf-8")
    except (OSError, ValueError):
        return False


def _note(state_dir: Path, names: list[str]) -> None:
    """Remember which folders were removed."""
    path = state_dir / "runs" / _REMOVED
    with suppress(OSError, ValueError):
        known = path.read_text("utf-8").splitlines() if path.exists() else []
        temporary = path.with_name(f"{_REMOVED}.{os.getpid()}")
        temporary.write_text("".join(f"{name}\n" for name in [*known, *names][-_REMEMBERED:]), "utf-8")
        temporary.rename(path)


def _folders(runs: Path) -> Iterator[RunFolder]:
    with suppress(OSError), os.scandir(runs) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield _measured(Path(entry.path))


def _links(runs: Path, names: Collection[str]) -> list[Path]:
    """The links to these folders, whose names are the ids that the runs were given when they were thawed."""
    return [path for path in runs.iterdir() if path.is_symlink() and path.readlink().name in names]


def _measured(folder: Path) -> RunFolder:
    size, modified = 0, 0.0
    for below, _, names in os.walk(folder):
        for name in (".", *names):
            with suppress(OSError):
                status = os.lstat(Path(below) / name)
                size += status.st_blocks * 512
                modified = max(modified, status.st_mtime)
    return RunFolder(folder, size, modified)


def is_held(folder: Path) -> bool:
    """Return whether the run is still active."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return True  # another user's, or gone
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _used_below(runs: Path) -> set[str]:
    """The names of folders with a file that a process has open: servers write their logs there."""
    base = f"{runs.resolve()}/"
    found: set[str] = set()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError), os.scandir(process / "fd") as links:
                for link in links:
                    with suppress(OSError):
                        target = os.readlink(link.path)  # noqa: PTH115 - the text, not a path
                        if target.startswith(base):
                            found.add(target.removeprefix(base).split("/", 1)[0])
    return found
