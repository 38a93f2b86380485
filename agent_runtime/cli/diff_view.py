"""Parses the diff of a `file_edit` into lines with line numbers, for display."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from agent_runtime.lazy import dataclass, lazy_pattern

if TYPE_CHECKING:
    from unidiff.patch import PatchSet

Kind = Literal["head", "hunk", "add", "del", "same"]
_KINDS: dict[str, Kind] = {"+": "add", "-": "del", "@": "hunk", " ": "same"}
_NAMES = lazy_pattern(
    r"^diff --git .*((?:\n(?![-+ @\\]|diff ).*)*)(?:\n--- .*\n\+\+\+ .*(?=\n@@ ))?", re.MULTILINE
)


@dataclass(frozen=True)
class DiffLine:
    """A line of a diff, including its sign. `old` and `new` are its numbers, from 1, on the sides that have it."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None


def diff_lines(diff: str) -> list[DiffLine]:
    """Return the lines of a diff without its file names.

    A truncated diff is parsed up to the truncation. Text that is not a diff is returned without line numbers.
    """
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    # unidiff cannot parse names that contain ` b/`
    nameless = _NAMES.sub(r"diff --git a/_ b/_\1", diff)
    for text in (nameless, _recounted(nameless)):
        try:
            if found := list(_read(PatchSet.from_string(text))):
                return found
        except UnidiffParseError:
            continue
    plain = diff.removesuffix("\n").split("\n") if diff else []
    return [DiffLine(_KINDS.get(line[:1], "head"), line) for line in plain]


def _recounted(diff: str) -> str:
    """Correct the line counts in the header of the last hunk, which are too large in a truncated diff."""
    before, separator, last = diff.rpartition("\n@@ ")
    header, _, body = last.partition("\n")
    body = body[: body.rfind("\n") + 1]  # without an incomplete last line
    signs = [line[:1] for line in body.split("\n")[:-1]]
    sides = [
        re.sub(r",\d+$", "", side) + f",{sum(sign in (own, ' ') for sign in signs)}"
        for side, own in zip(header.split(" "), "-+", strict=False)
    ]
    return f"{before}{separator}{' '.join(sides)} @@\n{body}"


def _read(patch: PatchSet) -> Iterator[DiffLine]:
    for file in patch:
        for info in (file.patch_info or [])[1:]:  # modes, renames; the first has the names again
            yield DiffLine("head", info.removesuffix("\n"))
        for hunk in file:
            sides = f"-{hunk.source_start},{hunk.source_length} +{hunk.target_start},{hunk.target_length}"
            yield DiffLine("hunk", f"@@ {sides} @@ {hunk.section_header}".rstrip())
            for line in hunk:
                kind = _KINDS.get(line.line_type, "head")
                text = f"{line.line_type}{line.value}".removesuffix("\n")
                yield DiffLine(kind, text, line.source_line_no, line.target_line_no)
