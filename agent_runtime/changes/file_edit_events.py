"""Events made of changes: the diff in the event where it fits, in a file where it does not."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent_runtime.changes.contents import Contents, sha256_of
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.diff_files import DiffFiles
from agent_runtime.changes.entries import IN_GIT, LONG_TEXT, NOWHERE, Change, Entry
from agent_runtime.changes.renames import Load, arrange
from agent_runtime.git.objects import UNKNOWN, Blobs
from agent_runtime.git.patch import Patch, Side, appended_patch, long_patch, make_patch
from agent_runtime.protocol.events import FileEditEvent
from agent_runtime.system.byte_paths import open_quietly, under

INLINE_LIMIT = 128 << 10  # bytes: six times that, were every byte escaped, is still a line of less than 1 MiB
_INLINE_TOTAL = 16 << 20  # bytes of all diffs of one report that are held in memory
_BATCH_BYTES, _BATCH_FILES = 4 << 20, 100  # of old contents that are fetched together
_EXCERPT = 16 << 10  # bytes of a diff that is in a file
_NAMED_AFTER_DEADLINE = 1000  # events without diffs that are still made

Source = Literal["tool", "shell"]
Action = Literal["create", "modify", "delete", "rename"]


@dataclass
class _Report:
    """Changes found together, as far as they are still to be reported."""

    changes: list[Change]
    source: Source
    call_id: str | None
    remaining: int = _INLINE_TOTAL  # bytes of diffs that may still be inline


class FileEditReporter:
    """Makes `FileEditEvent`s, and the files that they name.

    Args:
        workspace: absolute; the events' paths begin with it.
        diff_dir: for diffs that do not fit an event.
        contents: where old contents are kept; what is reported is released there.
        deadline: when to stop.
        degradation: records what is left out.
    """

    def __init__(
        self,
        workspace: bytes,
        diff_dir: Path,
        contents: Contents,
        deadline: Deadline,
        degradation: Degradation,
    ) -> None:
        self._workspace = workspace
        self._files = DiffFiles(diff_dir, degradation)
        self._contents = contents
        self._deadline = deadline
        self._degradation = degradation
        self._waiting: deque[_Report] = deque()
        # what the diffs so far make of paths that have a change without a diff
        self._diverged: dict[bytes, Entry | None] = {}

    def report(
        self, changes: Iterable[Change], source: Source, call_id: str | None
    ) -> Iterator[FileEditEvent]:
        """Yield the events of what was found together, in an order in which their diffs apply.

        What the deadline leaves is reported first the next time, or by `name_waiting`.
        """
        with self._contents.blobs() as blobs:
            self._waiting.append(_Report(arrange(changes, self._loader(blobs)), source, call_id))
            while self._waiting and not self._deadline.passed:
                report = self._waiting[0]
                batch = _batch(report.changes)
                blobs.fetch(
                    [change.old.oid for change in batch if change.old and change.old.offset == IN_GIT]
                )
                for _ in batch:
                    if self._deadline.passed:
                        return
                    yield self._reported(report, blobs)
                if not report.changes:
                    self._waiting.popleft()

    def defer(self, changes: Sequence[Change]) -> None:
        """Report these later."""
        self._waiting.append(_Report(list(changes), "shell", None))

    def name_waiting(self) -> Iterator[FileEditEvent]:
        """Yield events without diffs for the first of the changes that are still waiting, and forget the others."""
        waiting = [(change, report) for report in self._waiting for change in report.changes]
        self._waiting.clear()
        if waiting:
            self._degradation.note("time")
        for change, report in waiting[:_NAMED_AFTER_DEADLINE]:
            yield self._described(change, report, Patch(b""), diff="", truncated=True)

    def text(self, path: bytes) -> str:
        """Return a path as events carry it: absolute, and valid UTF-8."""
        return under(self._workspace, path).decode(errors="replace")

    def _loader(self, blobs: Blobs) -> Load:
        def load(entry: Entry) -> bytes | None:
            return None if self._deadline.passed else self._contents.load(entry, blobs)

        return load

    def _reported(self, report: _Report, blobs: Blobs) -> FileEditEvent:
        change = report.changes.pop(0)
        try:
            event = self._event(change, report, blobs)
        except Exception as error:
            self._degradation.note("failed", change.path, error)
            event = self._described(change, report, Patch(b""), diff="", truncated=True)
        report.remaining -= len(event.diff)
        if change.old:
            self._contents.release(change.old)  # from here on the new content is the old one
        return event

    def _event(self, change: Change, report: _Report, blobs: Blobs) -> FileEditEvent:
        path, origin = change.path, change.source or change.path
        before = self._diverged.pop(origin, change.old)
        old, new = self._side(origin, before, blobs), self._side(path, change.new, blobs)
        can_apply = applies(path)
        patch = make_patch(old, new) if (old or new) and can_apply else Patch(b"")
        diff, file = _inline(patch, report.remaining), None
        full = under(self._workspace, path)
        too_long = patch.long or bool(change.new and change.new.offset == LONG_TEXT)
        if new and change.new and can_apply and too_long and not patch.text:
            if (
                old
                and before
                and (appended := appended_patch(old, new, (before.size, change.new.size), full))
            ):
                patch = appended
                diff = _inline(patch, report.remaining)
            else:
                diff, file = "", self._write_long(old, new, change.new.size, full)
        truncated = diff is None or (too_long and not diff)
        if diff is None:
            file = self._files.write([patch.text])
            diff = _excerpt(patch) if file else ""
        if not file and (truncated or not diff):
            self._diverge(change, before)
        return self._described(change, report, patch, diff=diff, file=file, truncated=truncated, new=new)

    def _described(
        self,
        change: Change,
        report: _Report,
        patch: Patch,
        *,
        diff: str,
        truncated: bool,
        file: str | None = None,
        new: Side | None = None,
    ) -> FileEditEvent:
        full = under(self._workspace, change.path)
        binary = patch.binary or None
        return FileEditEvent(
            path=self.text(change.path),
            action=_action(change),
            old_path=self.text(change.source) if change.source else None,
            diff=diff,
            additions=patch.additions,
            deletions=patch.deletions,
            binary=binary,
            sha256=sha256_of(full, new.data) if binary and new else None,
            size=change.new.size if binary and change.new else None,
            truncated=truncated or None,
            diff_file=file,
            outside_workspace=True if change.path.startswith(b"/") else None,
            source=report.source,
            tool_call_id=report.call_id,
        )

    def _diverge(self, change: Change, before: Entry | None) -> None:
        """No diff contains this change, so the next diff of these paths begins where the diffs so far have led."""
        if before and before.oid == UNKNOWN:
            return
        if before and before.offset != NOWHERE:
            before = before._replace(offset=LONG_TEXT)  # its content is released
        if change.source:
            self._diverged[change.source] = before
        self._diverged[change.path] = None if change.source else before

    def _side(self, path: bytes, entry: Entry | None, blobs: Blobs) -> Side | None:
        if entry is None:
            return None
        opaque = entry.offset == NOWHERE and entry.oid != UNKNOWN
        return Side(path.lstrip(b"/"), entry.mode, entry.oid, self._contents.load(entry, blobs), opaque)

    def _write_long(self, old: Side | None, new: Side, size: int, path: bytes) -> str | None:
        """The diff of a text that is too large to be compared, written to a file while it is read."""
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

        def chunks() -> Iterator[bytes]:
            with io.BytesIO(new.data) if new.data else open(path, "rb", opener=open_quietly) as source:
                while (chunk := source.read(1 << 20)) and not self._deadline.passed:
                    digest.update(chunk)
                    yield chunk

        file = self._files.write(long_patch(old, new, size, chunks()))
        if file and digest.digest() != new.oid:  # it has changed since, or the deadline has passed
            Path(file).unlink()
            return None
        return file


def _inline(patch: Patch, remaining: int) -> str | None:
    """The diff as it is in an event; None when it does not fit."""
    if not patch.text:
        return ""
    if patch.binary or len(patch.text) > min(INLINE_LIMIT, remaining):
        return None
    try:
        return patch.text.decode()
    except UnicodeDecodeError:
        return None


def _excerpt(patch: Patch) -> str:
    text = b"" if patch.binary else patch.text[:_EXCERPT]
    return text[: text.rfind(b"\n") + 1].decode(errors="replace")


def _batch(changes: list[Change]) -> list[Change]:
    """The first of these changes: as many as may be in memory together."""
    count, remaining = 0, _BATCH_BYTES
    for change in changes[:_BATCH_FILES]:
        remaining -= change.old.size if change.old else 0
        count += 1
        if remaining < 0:
            break
    return changes[:count]


def applies(path: bytes) -> bool:
    """Whether `git apply` accepts this path: it refuses those of a repository's own files."""
    return b".git" not in path.lower().split(b"/")


def _action(change: Change) -> Action:
    if change.source:
        return "rename"
    if change.old and change.new:
        return "modify"
    return "create" if change.new else "delete"
