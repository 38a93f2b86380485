"""Events out of changes: the patch in the line where it fits, in a file beside where it does not."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from agent_runtime.changes.contents import Contents, sha256_of
from agent_runtime.changes.entries import IN_GIT, LONG_TEXT, NOWHERE, Change, Entry
from agent_runtime.changes.renames import arrange
from agent_runtime.git.objects import UNKNOWN
from agent_runtime.git.patch import Patch, Side, long_patch, make_patch
from agent_runtime.git.repository import Blobs
from agent_runtime.protocol.events import FileEditEvent
from agent_runtime.system.byte_paths import open_quietly, under

log = logging.getLogger(__name__)

INLINE_LIMIT = 128 << 10  # bytes: six times that, were every byte escaped, is still a line of less than 1 MiB
_INLINE_TOTAL = 16 << 20  # bytes of all patches of one report that are held in memory
_GROUP = 4 << 20  # bytes of old contents that are fetched together
_SHOWN = 16 << 10  # bytes of a patch that does not fit

Source = Literal["tool", "shell"]
Action = Literal["create", "modify", "delete", "rename"]


class FileEditReporter:
    """Makes `FileEditEvent`s, and the files under `diff_dir` that they name.

    Args:
        workspace: absolute; the events' paths begin with it.
        diff_dir: made when the first patch needs it.
        contents: where old contents are kept; what is reported is let go there.
    """

    def __init__(self, workspace: bytes, diff_dir: Path, contents: Contents) -> None:
        self._workspace = workspace
        self._diff_dir = diff_dir
        self._contents = contents
        self._written = 0
        # what the patches make of paths that one could not follow
        self._astray: dict[bytes, Entry | None] = {}

    def report(
        self, changes: Iterable[Change], source: Source, call_id: str | None
    ) -> Iterator[FileEditEvent]:
        """The events of what was found together, in an order in which their patches apply."""
        room = _INLINE_TOTAL
        with self._contents.blobs() as blobs:
            arranged = arrange(changes, lambda entry: self._contents.load(entry, blobs))
            for group in _groups(arranged):
                blobs.fetch(
                    [change.old.oid for change in group if change.old and change.old.offset == IN_GIT]
                )
                for change in group:
                    event = self._event(change, source, call_id, blobs, room)
                    room -= len(event.diff)
                    if change.old:
                        self._contents.release(change.old)  # from here on the new content is the old one
                    yield event

    def text(self, path: bytes) -> str:
        """A path as events carry it: absolute, and valid UTF-8."""
        return under(self._workspace, path).decode(errors="replace")

    def _event(
        self, change: Change, source: Source, call_id: str | None, blobs: Blobs, room: int
    ) -> FileEditEvent:
        path, origin = change.path, change.source or change.path
        before = self._astray.pop(origin, change.old)
        old, new = self._side(origin, before, blobs), self._side(path, change.new, blobs)
        full = under(self._workspace, path)
        takes = git_takes(path)
        patch = make_patch(old, new) if (old or new) and takes else Patch(b"")
        diff, file = _inline(patch, room), None
        if cut := diff is None:
            diff, file = _shown(patch), self._write([patch.text])
        elif new and change.new and change.new.offset == LONG_TEXT and takes and not diff:
            cut, file = True, self._write_long(old, new, change.new.size, full)
        if not file and (cut or not diff):
            self._stray(change, before)
        binary = patch.binary or None
        return FileEditEvent(
            path=self.text(path),
            action=_action(change),
            old_path=self.text(change.source) if change.source else None,
            diff=diff,
            additions=patch.additions,
            deletions=patch.deletions,
            binary=binary,
            sha256=sha256_of(full, new.data) if binary and new else None,
            size=change.new.size if binary and change.new else None,
            truncated=cut or None,
            diff_file=file,
            outside_workspace=True if path.startswith(b"/") else None,
            source=source,
            tool_call_id=call_id,
        )

    def _stray(self, change: Change, before: Entry | None) -> None:
        """No patch tells this change, so the next one of these paths starts where the patches have led to."""
        if before and before.oid == UNKNOWN:
            return
        if before and before.offset != NOWHERE:
            before = before._replace(offset=LONG_TEXT)  # its content is let go
        if change.source:
            self._astray[change.source] = before
        self._astray[change.path] = None if change.source else before

    def _side(self, path: bytes, entry: Entry | None, blobs: Blobs) -> Side | None:
        if entry is None:
            return None
        opaque = entry.offset == NOWHERE and entry.oid != UNKNOWN
        return Side(path.lstrip(b"/"), entry.mode, entry.oid, self._contents.load(entry, blobs), opaque)

    def _write(self, text: Iterable[bytes]) -> str | None:
        self._written += 1
        file = self._diff_dir / f"{self._written:06d}.patch"
        try:
            self._diff_dir.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as out:
                out.writelines(text)
        except OSError as error:
            log.warning("a patch could not be written: %s", error)
            return None
        return str(file)

    def _write_long(self, old: Side | None, new: Side, size: int, path: bytes) -> str | None:
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

        def chunks() -> Iterator[bytes]:
            with open(path, "rb", opener=open_quietly) as source:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    yield chunk

        file = self._write(long_patch(old, new, size, chunks()))
        if file and digest.digest() != new.oid:  # it has changed since; the next look tells
            Path(file).unlink()
            return None
        return file


def _inline(patch: Patch, room: int) -> str | None:
    """The patch as it stands in an event; None when it does not fit there."""
    if not patch.text:
        return ""
    if patch.binary or len(patch.text) > min(INLINE_LIMIT, room):
        return None
    try:
        return patch.text.decode()
    except UnicodeDecodeError:
        return None


def _shown(patch: Patch) -> str:
    shown = b"" if patch.binary else patch.text[:_SHOWN]
    return shown[: shown.rfind(b"\n") + 1].decode(errors="replace")


def _groups(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """As many at a time as may be in memory together."""
    group: list[Change] = []
    room = _GROUP
    for change in changes:
        group.append(change)
        room -= change.old.size if change.old else 0
        if room < 0 or len(group) == 100:
            yield group
            group, room = [], _GROUP
    if group:
        yield group


def git_takes(path: bytes) -> bool:
    """No patch may speak of a repository's own files."""
    return b".git" not in path.lower().split(b"/")


def _action(change: Change) -> Action:
    if change.source:
        return "rename"
    if change.old and change.new:
        return "modify"
    return "create" if change.new else "delete"
