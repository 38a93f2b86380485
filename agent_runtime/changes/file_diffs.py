"""The diff of one change: in the event where it fits, in a file where it does not."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agent_runtime.changes.contents import Contents, sha256_of
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.diff_files import DiffFiles
from agent_runtime.changes.entries import LONG_TEXT, NOWHERE, Change, Entry
from agent_runtime.git.ident import IdentAttribute, collapse_ident
from agent_runtime.git.objects import UNKNOWN, Blobs, blob_id
from agent_runtime.git.patch import Patch, Side, appended_patch, long_patch, make_patch
from agent_runtime.lazy import dataclass
from agent_runtime.system.byte_paths import open_quietly, under

INLINE_LIMIT = 128 << 10  # bytes: six times that, were every byte escaped, is still a line of less than 1 MiB
_EXCERPT = 16 << 10  # bytes of a diff that is in a file


@dataclass(frozen=True)
class FileDiff:
    """A diff as its event carries it.

    `text` is whole, or `truncated`; then `file` has the whole, if there is one. `sha256` is that of a binary file.
    """

    text: str = ""
    file: str | None = None
    truncated: bool = True
    additions: int = 0
    deletions: int = 0
    binary: bool = False
    sha256: str | None = None


NO_DIFF = FileDiff()  # for a change that is reported without a diff


class FileDiffs:
    """Makes diffs that apply one after the other.

    Args:
        workspace: absolute.
        diff_dir: for diffs that do not fit an event.
        contents: where old contents are kept.
        deadline: when to stop writing a long diff.
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
        # the entry that the diffs so far lead to, for paths that have a change without a diff
        self._diverged: dict[bytes, Entry | None] = {}

    def make(self, change: Change, blobs: Blobs, ident: IdentAttribute, limit: int) -> FileDiff:
        """Return the diff of a change. At most `limit` bytes of it are in the event."""
        path, origin = change.path, change.source or change.path
        before = self._diverged.pop(origin, change.old)
        old, new = self._side(origin, before, blobs), self._side(path, change.new, blobs)
        old, new = _collapsed(old, new, ident)
        can_apply = applies(path)
        patch = make_patch(old, new) if (old or new) and can_apply else Patch(b"")
        text, file = _inline(patch, limit), None
        full = under(self._workspace, path)
        too_long = patch.long or bool(change.new and change.new.offset == LONG_TEXT)
        if new and change.new and can_apply and too_long and not patch.text:
            sizes = (before.size if before else 0, change.new.size)
            appended = appended_patch(old, new, sizes, full) if old else None
            if appended:
                patch, text = appended, _inline(appended, limit)
            else:
                text, file = "", self._write_long(old, new, change.new.size, full)
        truncated = text is None or (too_long and not text)
        if text is None:
            file = self._files.write([patch.text])
            text = _excerpt(patch) if file else ""
        if not file and (truncated or not text):
            self._diverge(change, before)
        sha256 = sha256_of(full, new.data) if patch.binary and new else None
        return FileDiff(text, file, truncated, patch.additions, patch.deletions, patch.binary, sha256)

    def loader(self, blobs: Blobs) -> Callable[[Entry], bytes | None]:
        """Return a function that loads old contents; None for each after the deadline."""

        def load(entry: Entry) -> bytes | None:
            return None if self._deadline.passed else self._contents.load(entry, blobs)

        return load

    def _diverge(self, change: Change, before: Entry | None) -> None:
        """Note that no diff contains this change, so that the next one of these paths begins where the diffs led."""
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


def _collapsed(old: Side | None, new: Side | None, ident: IdentAttribute) -> tuple[Side | None, Side | None]:
    """Both sides as `git apply` sees them, where the attribute `ident` makes that another text."""
    sides = [_with_collapsed(side, ident) for side in (old, new)]
    before, after = sides
    if before and after and (before.data == after.data) and (old and new and old.data != new.data):
        return old, new  # only the expanded text differs
    return before, after


def _with_collapsed(side: Side | None, ident: IdentAttribute) -> Side | None:
    if side is None or not side.data:
        return side
    text = collapse_ident(side.data)
    return replace(side, data=text, oid=blob_id(text)) if text != side.data and ident.of(side.path) else side


def applies(path: bytes) -> bool:
    """Whether `git apply` accepts this path: it refuses those of a repository's own files."""
    return b".git" not in path.lower().split(b"/")


def _inline(patch: Patch, limit: int) -> str | None:
    """The diff as it is in an event; None when it does not fit."""
    if not patch.text:
        return ""
    if patch.binary or len(patch.text) > min(INLINE_LIMIT, limit):
        return None
    try:
        return patch.text.decode()
    except UnicodeDecodeError:
        return None


def _excerpt(patch: Patch) -> str:
    text = b"" if patch.binary else patch.text[:_EXCERPT]
    return text[: text.rfind(b"\n") + 1].decode(errors="replace")
