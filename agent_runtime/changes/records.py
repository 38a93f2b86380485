"""What each path was at the beginning, and what it is now."""

from __future__ import annotations

from agent_runtime.changes.contents import read_content
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import NOWHERE, Change, Entry, is_same, pack_by_stat, unpack
from agent_runtime.changes.file_edit_events import Action
from agent_runtime.changes.net_changes import FirstEntries
from agent_runtime.changes.tracked_files import TrackedFiles
from agent_runtime.changes.tree_walk import LATE, UNSEEN
from agent_runtime.git.objects import REGULAR, UNKNOWN, git_mode
from agent_runtime.system.byte_paths import parent, stat_of, under

# A file that existed before it was tracked and has changed since: no diff can be made.
_UNSEEN = Entry(REGULAR, (1 << 64) - 1, 0, 0, 0, UNKNOWN, NOWHERE)


class Records:
    """Examines paths, and records what they are. A path is relative to the workspace, or absolute when outside.

    Args:
        root: the workspace.
        files: the tracked files.
        deadline: when to stop reading a large file.
        degradation: records what cannot be done.

    Attributes:
        extra: paths that tools wrote to outside of what is tracked.
        linked: changed inodes with more than one name.
    """

    def __init__(
        self, root: bytes, files: TrackedFiles, deadline: Deadline, degradation: Degradation
    ) -> None:
        self._root = root
        self._files = files
        self._tree = files.tree
        self._deadline = deadline
        self._degradation = degradation
        self._first = FirstEntries()
        self.extra: dict[bytes, Entry | None] = {}
        self.linked: set[int] = set()

    def examine(self, path: bytes, old: bytes | Entry | None) -> Change | None:
        """Read a suspect, and return how it has changed since it was `old`; None when it has not."""
        try:
            if old in (LATE, UNSEEN):
                return self._begin_to_track(path, None if old == LATE else _UNSEEN)
            return self._read(path, unpack(old) if isinstance(old, bytes) else old)
        except Exception as error:  # only this file cannot be tracked; the others go on
            self._degradation.note("failed", path, error)
            return None

    def _read(self, path: bytes, old: Entry | None) -> Change | None:
        """Read a suspect, and remember what it is now."""
        content = None
        if not self._lost_its_folder(path):
            content = read_content(under(self._root, path), deadline=self._deadline)
        if content is None:
            if old is None:
                return None
            self._enter(path, None)
            self._first.remember(path, old.pack() if old else None)
            return Change(path, old, None)
        seen = content.entry(0)
        if content.oid == UNKNOWN and old and old.looks_like(seen):
            seen = seen._replace(oid=old.oid)  # it cannot be read any more; its times say it is the same
        if old and seen.same(old):
            self._enter(path, seen._replace(offset=old.offset))
            return None
        if content.stat.st_nlink > 1:
            self.linked.add(seen.ino)
        seen = seen._replace(offset=self._files.contents.keep(content, binary=True))
        if self._files.contents.full:
            self._degradation.note("old_content", path)
        self._enter(path, seen)
        self._first.remember(path, old.pack() if old else None)
        return Change(path, old, seen)

    def examine_stat(self, path: bytes, old: bytes | None) -> Action | None:
        """Compare the stat of a suspect alone, where there is no time to read it. None: it has not changed."""
        st = None if self._lost_its_folder(path) else stat_of(under(self._root, path))
        if old in (LATE, UNSEEN):
            if st is not None and st.st_ctime_ns < self._files.started:
                return None
            old = None if old == LATE else _UNSEEN.pack()
        new = pack_by_stat(st, old) if st is not None and git_mode(st.st_mode) else None
        self._tree.recalled.add(path)
        self._tree.put(path, new)
        if new is None and old is None:
            return None
        if new and is_same(new, old):
            return None
        self._first.remember(path, old)
        return "delete" if new is None else "modify" if old else "create"

    def _lost_its_folder(self, path: bytes) -> bool:
        """Whether its folder was replaced by a symlink, with which its files are gone, whatever the link leads to."""
        return path not in self.extra and parent(path) not in self._tree.folders

    def _begin_to_track(self, path: bytes, before: Entry | None) -> Change | None:
        """A file that was not tracked until now. `before` is what it was if it has changed since the run began."""
        content = read_content(under(self._root, path), deadline=self._deadline)
        if content is None:
            return None
        if content.stat.st_ctime_ns >= self._files.started:
            return self._read(path, before)
        self._enter(path, content.entry(self._files.contents.keep(content)))
        return None

    def _enter(self, path: bytes, entry: Entry | None) -> None:
        if path in self.extra:
            self.extra[path] = entry
            return
        self._tree.recalled.add(path)
        self._tree.put(path, entry.pack() if entry else None)

    def now(self, path: bytes) -> bytes | None:
        """The packed entry of a path."""
        if path in self.extra:
            entry = self.extra[path]
            return entry.pack() if entry else None
        return self._tree.get(path)

    def is_extra(self, path: bytes) -> bool:
        """Whether this path is outside of what is tracked."""
        return path in self.extra or path.startswith(b"/") or not self._tree.covers(path)

    def add_extra(self, path: bytes) -> None:
        """Note that a tool has written this path, which is outside of what is tracked; its old content is not known."""
        self.extra.setdefault(path, None if path.startswith(b"/") else _UNSEEN)

    def keep_extra(self, path: bytes) -> None:
        """Keep the content of a path outside of what is tracked, which a tool is about to write."""
        content = read_content(under(self._root, path))
        offset = self._files.contents.keep(content) if content else 0
        self.extra[path] = content.entry(offset) if content else None

    def drop_unchanged_extras(self, paths: set[bytes]) -> None:
        """Forget those of these paths that were not changed."""
        for path in paths & self.extra.keys():
            if path not in self._first:
                del self.extra[path]

    def has_changed(self, path: bytes) -> bool:
        """Whether this path ever changed."""
        return path in self._first

    def differing(self) -> tuple[list[bytes], list[bytes]]:
        """See FirstEntries."""
        return self._first.differing(self.now, self._deadline)
