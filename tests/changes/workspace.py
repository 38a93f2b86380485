"""A workspace, a copy of it as it was at the start, a tracker, and real `git apply`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.protocol.events import FileEditEvent

Snapshot = dict[bytes, tuple[str, bytes]]
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]


def bash(script: str, cwd: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }
    identity = {
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@e",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@e",
    }
    done = subprocess.run(
        ["bash", "-ec", script], cwd=cwd, env=env | identity, capture_output=True, check=False
    )
    assert done.returncode == 0, (script, done.stderr)


def snapshot(root: Path, leave_out: Sequence[bytes] = (b".git",)) -> Snapshot:
    """Every file: git's mode and the bytes (a symlink's target)."""
    found: Snapshot = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if os.fsencode(name) not in leave_out]
        for name in [*files, *folders]:
            path = Path(folder, name)
            key = os.fsencode(path.relative_to(root))
            if path.is_symlink():
                found[key] = ("120000", os.fsencode(path.readlink()))
            elif path.is_file() and os.fsencode(name) not in leave_out:
                mode = "100755" if path.stat().st_mode & 0o100 else "100644"
                found[key] = (mode, path.read_bytes())
    return found


def apply(event: FileEditEvent, tree: Path) -> None:
    patch = Path(event.diff_file).read_bytes() if event.diff_file else event.diff.encode()
    if not patch:
        return
    done = subprocess.run(["git", "apply", "-"], input=patch, cwd=tree, capture_output=True, check=False)
    assert done.returncode == 0, (done.stderr, patch[:2000])


@dataclass
class TrackedWorkspace:
    """`sh` changes things; `scan` looks; `check` holds the promise.

    `workspace` is by default a new one in the folder; several trackers may have one in common.
    """

    folder: Path
    workspace: Path | None = None
    keep_git: bool = True
    track_ignored: bool = False
    events: list[FileEditEvent] = field(default_factory=list)
    expected: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ws = self.workspace or self.folder / "ws"
        for path in (self.folder, self.ws):
            path.mkdir(parents=True, exist_ok=True)

    def sh(self, script: str) -> None:
        bash(script, self.ws)

    def begin(self) -> None:
        self.keep_start()
        self.track()

    def keep_start(self) -> None:
        self.copy = self.folder / "copy"
        subprocess.run(["cp", "-a", self.ws, self.copy], check=True)
        if not self.keep_git:
            bash("rm -rf .git", self.copy)
        # what patches do not speak of, and what would keep a folder from giving way to a file
        bash(
            "find . -name .git -prune -o '(' -type p -o -name .cache -o -name node_modules ')' "
            "-print0 | xargs -0 rm -rf",
            self.copy,
        )
        bash(
            "find . -name .git -prune -o -type d -print0 | sort -zr | xargs -0 rmdir 2>/dev/null || true",
            self.copy,
        )
        self.start = snapshot(self.ws)

    def track(self) -> None:
        self.tracker = ChangeTracker(
            self.ws, diff_dir=self.folder / "state" / "diffs", track_ignored=self.track_ignored
        )
        self.tracker.begin()
        anyio.run(self.tracker.ready)

    def scan(self, call_id: str | None = "c1") -> list[FileEditEvent]:
        async def look() -> list[FileEditEvent]:
            return await self.tracker.scan(call_id=call_id)

        found = anyio.run(look)
        self.events += found
        return found

    def note(self, *paths: Path, call_id: str = "t1") -> list[FileEditEvent]:
        async def look() -> list[FileEditEvent]:
            found = await self.tracker.note(paths, call_id=call_id)
            await self.tracker.release(self.expected)
            return found

        found = anyio.run(look)
        self.events += found
        return found

    def expect(self, *paths: Path) -> None:
        async def look() -> None:
            self.expected = await self.tracker.expect(paths)

        anyio.run(look)

    def release(self) -> None:
        anyio.run(self.tracker.release, self.expected)

    def finish(self) -> list[FileEditEvent]:
        found = anyio.run(self.tracker.finish)
        self.events += found
        return found

    def run(self, script: str) -> list[FileEditEvent]:
        """One shell call."""
        self.sh(script)
        return self.scan()

    def check(self, leave_out: Sequence[bytes] = (b".git",)) -> None:
        """Finish; the patches must lead from the start to the end, and the net effect be exact."""
        self.finish()
        for event in self.events:
            apply(event, self.copy)
        end = {path: value for path, value in snapshot(self.ws, leave_out).items()}
        assert snapshot(self.copy, leave_out) == end
        start = {
            path: value for path, value in self.start.items() if path in snapshot_keys(self.start, leave_out)
        }
        net = self.tracker.net()
        assert net.files == self.texts(path for path, value in end.items() if start.get(path) != value)
        assert net.deleted_files == self.texts(start.keys() - end.keys())

    def texts(self, paths: object) -> tuple[str, ...]:
        return tuple(sorted(f"{self.ws}/{path.decode(errors='replace')}" for path in paths))  # type: ignore[attr-defined]


def snapshot_keys(found: Snapshot, leave_out: Sequence[bytes]) -> set[bytes]:
    return {path for path in found if not set(path.split(b"/")) & set(leave_out)}


def brief(events: Sequence[FileEditEvent], root: Path) -> list[tuple[str, ...]]:
    """(action, relative path, and the old one of a rename)."""
    out: list[tuple[str, ...]] = []
    for event in events:
        names = [event.path, *([event.old_path] if event.old_path else [])]
        out.append((event.action, *(name.removeprefix(f"{root}/") for name in names)))
    return out
