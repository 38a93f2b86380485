"""Makes the events: from the changes that were found together to one `file_edit` for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from agent_runtime.changes.contents import Contents
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import IN_GIT, Change
from agent_runtime.changes.file_diffs import NO_DIFF, FileDiff, FileDiffs
from agent_runtime.changes.renames import arrange
from agent_runtime.git.ident import IdentAttribute
from agent_runtime.git.objects import Blobs
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.events import FileEditEvent
from agent_runtime.system.byte_paths import under

_INLINE_TOTAL = 16 << 20  # bytes of all diffs of one report that are held in memory
_BATCH_BYTES, _BATCH_FILES = 4 << 20, 100  # of old contents that are fetched together

Source = Literal["tool", "shell"]
Action = Literal["create", "modify", "delete", "rename"]


@dataclass
class _Report:
    """Changes found together, as far as they are still to be reported."""

    changes: deque[Change]
    source: Source
    call_id: str | None
    remaining: int = _INLINE_TOTAL  # bytes of diffs that may still be inline


class FileEditReporter:
    """Makes `FileEditEvent`s, and the files that they name.

    Args:
        workspace: absolute; the events' paths begin with it.
        diffs: makes the diffs of the events.
        contents: where old contents are kept; what is reported is released there.
        deadline: when to stop.
        degradation: records what is left out.
    """

    def __init__(
        self,
        workspace: bytes,
        diffs: FileDiffs,
        contents: Contents,
        deadline: Deadline,
        degradation: Degradation,
    ) -> None:
        self._workspace = workspace
        self._diffs = diffs
        self._contents = contents
        self._deadline = deadline
        self._degradation = degradation
        self._waiting: deque[_Report] = deque()
        self._unread: deque[tuple[bytes, Action]] = deque()  # changes that are known by their stat alone

    def report(
        self, changes: Iterable[Change], source: Source, call_id: str | None
    ) -> Iterator[FileEditEvent]:
        """Yield the events of what was found together, in an order in which their diffs apply.

        What the deadline leaves is reported first the next time, or by `without_diffs`.
        """
        with self._contents.blobs() as blobs, self._contents.ident() as ident:
            ordered = arrange(changes, self._diffs.loader(blobs), self._deadline)
            self._waiting.append(_Report(deque(ordered), source, call_id))
            while self._waiting and not self._deadline.passed:
                report = self._waiting[0]
                batch = _batch(report.changes)
                blobs.fetch(
                    [change.old.oid for change in batch if change.old and change.old.offset == IN_GIT]
                )
                for _ in batch:
                    if self._deadline.passed:
                        return
                    yield self._reported(report, blobs, ident)
                if not report.changes:
                    self._waiting.popleft()

    def name(self, path: bytes, action: Action) -> None:
        """Have `without_diffs` report a change that is known by the file's stat alone."""
        self._unread.append((path, action))

    def without_diffs(self) -> Iterator[FileEditEvent]:
        """Yield an event without a diff for each change that is still waiting."""
        for report in self._waiting:
            while report.changes:
                change = report.changes.popleft()
                yield self._event(change, NO_DIFF, report.source, report.call_id)
        while self._unread:
            path, action = self._unread.popleft()
            yield self._named(path, action)

    @property
    def waiting(self) -> int:
        """The number of changes that have no event yet."""
        return len(self._unread) + sum(len(report.changes) for report in self._waiting)

    def text(self, path: bytes) -> str:
        """Return a path as events carry it: absolute, and valid UTF-8."""
        return under(self._workspace, path).decode(errors="replace")

    def _reported(self, report: _Report, blobs: Blobs, ident: IdentAttribute) -> FileEditEvent:
        change = report.changes.popleft()
        try:
            diff = self._diffs.make(change, blobs, ident, report.remaining)
        except Exception as error:
            self._degradation.note("failed", change.path, error)
            diff = NO_DIFF
        report.remaining -= len(diff.text)
        if change.old:
            self._contents.release(change.old)  # from here on the new content is the old one
        return self._event(change, diff, report.source, report.call_id)

    def _event(self, change: Change, diff: FileDiff, source: Source, call_id: str | None) -> FileEditEvent:
        return FileEditEvent(
            path=self.text(change.path),
            action=_action(change),
            old_path=self.text(change.source) if change.source else None,
            diff=diff.text,
            additions=diff.additions,
            deletions=diff.deletions,
            binary=diff.binary or None,
            sha256=diff.sha256,
            size=change.new.size if diff.binary and change.new else None,
            truncated=diff.truncated or None,
            diff_file=diff.file,
            outside_workspace=True if change.path.startswith(b"/") else None,
            source=source,
            tool_call_id=call_id,
        )

    def _named(self, path: bytes, action: Action) -> FileEditEvent:
        return FileEditEvent(
            path=self.text(path),
            action=action,
            diff="",
            additions=0,
            deletions=0,
            truncated=True,
            source="shell",
        )


def _batch(changes: deque[Change]) -> list[Change]:
    """The first of these changes: as many as may be in memory together."""
    batch: list[Change] = []
    remaining = _BATCH_BYTES
    for change in islice(changes, _BATCH_FILES):
        remaining -= change.old.size if change.old else 0
        batch.append(change)
        if remaining < 0:
            break
    return batch


def _action(change: Change) -> Action:
    if change.source:
        return "rename"
    if change.old and change.new:
        return "modify"
    return "create" if change.new else "delete"
