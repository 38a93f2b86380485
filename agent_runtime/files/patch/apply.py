"""Applying a patch to files: all results are prepared in memory first, then all are written."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.atomic_write import Write, write_all
from agent_runtime.files.line_numbers import extent
from agent_runtime.files.patch.hunks import added_text, apply_hunks, verify_whole
from agent_runtime.files.patch.model import FilePatch
from agent_runtime.files.place import Place, explained, missing
from agent_runtime.files.seen_files import SeenFiles
from agent_runtime.files.snapshot import Snapshot, snapshot, snapshot_link
from agent_runtime.files.text_file import TextFile, split_lines
from agent_runtime.lazy import dataclass

# bytes and lines of a file: calls that make lists of all lines cannot be interrupted
_LARGE = 64 << 20
_MANY_LINES = 4_000_000


@dataclass
class _Entry:
    """A file as the patch has left it so far; `data` is None when there is no file."""

    place: Place
    before: Snapshot | None
    data: bytes | None
    like: Snapshot | None = None  # the file whose mode and owner a new one takes
    executable: bool | None = None

    @property
    def changed(self) -> bool:
        before = self.before.data if self.before else None
        return self.data != before or (self.data is not None and self._mode_changes())

    def _mode_changes(self) -> bool:
        mode = self.before.status.st_mode if self.before else 0
        return self.executable is not None and bool(mode & 0o100) != self.executable


@dataclass
class PatchApplier:
    """Applies one patch.

    Args:
        places: the place of every path that the patch names.
        seen: what the model has seen of the files.
        display_path: returns a path as the model sees it.
    """

    places: Mapping[str, Place]
    seen: SeenFiles
    display_path: Callable[[Path], str]
    entries: dict[Path, _Entry] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)

    def prepare(self, files: Sequence[FilePatch]) -> list[Write]:
        """Prepare all changes in memory. Raises ToolError when one cannot be made, or when nothing changes."""
        for file in files:
            with explained(file.path):
                {"add": self._add, "delete": self._delete, "update": self._update}[file.action](file)
        changed = [entry for entry in self.entries.values() if entry.changed]
        if not changed:
            raise ToolError("The patch changes nothing: every file has this content already.")
        return [
            Write(entry.place, entry.before, entry.data, entry.like, entry.executable)
            for entry in sorted(changed, key=lambda entry: entry.data is None)
        ]

    def commit(self, writes: Sequence[Write], cancelled: threading.Event) -> None:
        """Write all files, unless `cancelled` is set before. Raises ToolError when it fails, with nothing changed."""
        try:
            write_all(writes, cancelled)
        except OSError as error:
            name, reason = self.display_path(Path(error.filename)), (error.strerror or str(error)).lower()
            raise ToolError(f"{name}: {reason}. Nothing was changed.") from error
        for write in writes:
            if write.data is None:
                self.seen.forget(write.place.real)
            else:
                self.seen.saw(write.place.real, write.data)

    def message(self) -> str:
        """The message for the model."""
        return "Applied:\n" + "\n".join(self.report)

    def _add(self, file: FilePatch) -> None:
        entry = self._entry(file.path)
        name = self.display_path(entry.place.real)
        if entry.data is not None:
            raise ToolError(
                f"{name} exists already, so it cannot be added. Nothing was changed. Use `*** Update "
                f"File: `, or put `*** Delete File: {file.path}` before it to replace it whole."
            )
        text = added_text(file.hunks)
        entry.data, entry.executable = text.encode(), file.executable
        count = len(split_lines(text))
        self.report.append(f"A {name} ({count} {'line' if count == 1 else 'lines'})")

    def _delete(self, file: FilePatch) -> None:
        entry = self._existing(file)
        name = self.display_path(entry.place.real)
        self._require(entry, name)
        verify_whole(self._decode(entry), file.hunks, name)
        entry.data = None
        self.report.append(f"D {name}")

    def _update(self, file: FilePatch) -> None:
        entry = self._existing(file)
        if entry.data is None and file.creates:
            self._add(replace(file, path=file.creates))
            return
        name = self.display_path(entry.place.real)
        data = self._require(entry, name)
        if file.move_to and entry.before and stat.S_ISLNK(entry.before.status.st_mode):
            raise ToolError(f"{name} is a symlink: move its target, or move the symlink with the shell.")
        _refuse_large(data, name)
        patched = apply_hunks(self._decode(entry), file.hunks, name)
        lines = ", ".join(extent(low, high) for low, high in patched.changed)
        where = f" (at {lines} of the former text)" if lines else ""
        if file.move_to:
            target = self._entry(file.move_to)
            if target is not entry:
                name = self._move(entry, target, file.move_to)
                entry = target
        entry.data = patched.data
        entry.executable = entry.executable if file.executable is None else file.executable
        self.report.append(f"{'R' if file.move_to else 'M'} {name}{where}")
        self.report += [f"  {remark}" for remark in patched.remarks]

    def _move(self, source: _Entry, target: _Entry, path: str) -> str:
        if target.data is not None:
            raise ToolError(
                f"{path} exists already, so {self.display_path(source.place.real)} cannot be moved there. "
                "Nothing was changed."
            )
        target.like, target.executable = source.before or source.like, source.executable
        source.data = None
        return f"{self.display_path(source.place.real)} -> {self.display_path(target.place.real)}"

    def _existing(self, file: FilePatch) -> _Entry:
        """The first of the file's names that exists."""
        entries = [self._entry(name) for name in (file.path, *file.others)]
        return next((entry for entry in entries if entry.data is not None), entries[0])

    def _require(self, entry: _Entry, name: str) -> bytes:
        if entry.data is not None:
            return entry.data
        if entry.before is not None:
            raise ToolError(
                f"{name} is deleted or moved earlier in the same patch. Nothing was changed. Name each file once."
            )
        raise missing(entry.place, name)

    def _decode(self, entry: _Entry) -> TextFile:
        assert entry.data is not None
        return self.seen.decode(entry.place.real, entry.data)

    def _entry(self, path: str) -> _Entry:
        place = self.places[path]
        entry = self.entries.get(place.real)
        if entry is None:
            status = place.lstat()
            before = None
            if status is not None:
                link = stat.S_ISLNK(status.st_mode)
                before = snapshot_link(place) if link else snapshot(place, self.display_path(place.real))
                self.seen.refuse_stale(place.real, before, self.display_path(place.real))
            entry = self.entries[place.real] = _Entry(place, before, before.data if before else None)
        return entry


def _refuse_large(data: bytes, name: str) -> None:
    lines = data.count(b"\n")
    if len(data) > _LARGE or lines > _MANY_LINES:
        raise ToolError(
            f"{name} has {len(data):,} bytes in {lines:,} lines: a patch is applied to at most "
            f"{_LARGE:,} bytes in {_MANY_LINES:,} lines. Nothing was changed. Use another edit tool, or the shell."
        )
