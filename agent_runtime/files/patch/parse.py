"""Parsing a patch in either format: the `*** Begin Patch` format is parsed here, unified diffs in `unified`."""

from __future__ import annotations

import re
from dataclasses import field

from agent_runtime.errors import ToolError
from agent_runtime.files.patch.hunk_body import looks_unified
from agent_runtime.files.patch.model import FilePatch, Hunk, PatchLine
from agent_runtime.files.patch.unified import parse_unified
from agent_runtime.lazy import dataclass, lazy_pattern

_BEGIN, _END = "*** Begin Patch", "*** End Patch"


def parse(text: str) -> list[FilePatch]:
    """Parse a patch in either format. Raises ToolError, naming the line that is wrong."""
    lines = text.split("\n")
    if all(line.endswith("\r") for line in lines[:-1] if line):  # the patch as a whole came with CRLF
        lines = [line.removesuffix("\r") for line in lines]
    begin = next((i for i, line in enumerate(lines) if line.strip() == _BEGIN), None)
    diff = looks_unified(lines)
    if diff is not None and (begin is None or diff < begin):
        return parse_unified(lines, 0)
    if begin is None:
        raise ToolError(
            f"This is not a patch: it has neither a `{_BEGIN}` line nor the `---` and `+++` lines of a "
            f"unified diff. Expected:\n{_BEGIN}\n*** Update File: path\n@@\n context\n-old\n+new\n{_END}"
        )
    if any(re.match(r"\s*cd\s", line) for line in lines[:begin]):
        raise ToolError(
            "Paths of a patch are relative to the workspace. Give the patch without a `cd` command before it."
        )
    end = next((i for i in range(len(lines) - 1, begin, -1) if lines[i].strip() == _END), None)
    if end is None:
        raise ToolError(
            f"The patch is incomplete: there is no `{_END}` line, so it may have been cut. Nothing was "
            "changed."
        )
    if any(line.strip() in (_BEGIN, _END) and line[:1] not in "+- " for line in lines[begin + 1 : end]):
        raise ToolError(
            f"Only one patch per call can be applied: there is a second `{_BEGIN}` or `{_END}` line inside."
        )
    body = _dedented(lines[begin:end])
    if looks_unified(body[1:3]) is not None:
        return parse_unified(lines[:end], begin + 1, closed=True)
    return _Envelope(body, begin).parse()


def _dedented(lines: list[str]) -> list[str]:
    """The lines without the indentation of the first, where all have it (a patch quoted as a block)."""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if indent and all(line.startswith(indent) for line in lines if line.strip()):
        return [line[len(indent) :] for line in lines]
    return lines


@dataclass
class _Draft:
    """A hunk being read."""

    line: int
    anchors: list[str] = field(default_factory=list)
    lines: list[PatchLine] = field(default_factory=list)
    end_of_file: bool = False
    start: int | None = None

    def hunk(self, number: int) -> Hunk:
        while self.lines and self.lines[-1].bare and not self.lines[-1].text and len(self.lines) > 1:
            self.lines.pop()  # an empty line before the next marker is not a line of the file
        return Hunk(number, self.line, tuple(self.lines), tuple(self.anchors), self.end_of_file, self.start)


_RANGE = lazy_pattern(r"^-(\d{1,9})(?:,\d+)? \+\d+(?:,\d+)? *(?:@@)? ?(.*)$")


class _Envelope:
    """The `*** Begin Patch` format."""

    def __init__(self, lines: list[str], offset: int) -> None:
        self.lines = lines
        self.offset = offset + 1  # of line numbers in errors
        self.at = 1

    def parse(self) -> list[FilePatch]:
        files: list[FilePatch] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
            elif path := self._marker("Add File"):
                files.append(self._add(path))
            elif path := self._marker("Delete File"):
                files.append(FilePatch("delete", path, self.at + self.offset))
                self.at += 1
            elif path := self._marker("Update File"):
                files.append(self._update(path))
            else:
                raise self._wrong(
                    "expected `*** Add File: `, `*** Update File: ` or `*** Delete File: ` and a path"
                )
        if not files:
            raise ToolError("The patch is empty: it names no file.")
        return files

    def _marker(self, name: str) -> str | None:
        found = re.match(rf"\s*\*\*\* {name}:(.*)$", self.lines[self.at])
        if found and not found[1].strip():
            raise self._wrong("expected a path after the colon")
        return found[1].strip() if found else None

    def _add(self, path: str) -> FilePatch:
        first = self.at + self.offset
        self.at += 1
        content: list[PatchLine] = []
        while self.at < len(self.lines) and not self.lines[self.at].startswith("*** "):
            line = self.lines[self.at]
            if line and not line.startswith("+"):
                raise self._wrong("expected `+` at the start of every line of a new file")
            content.append(PatchLine("+", line[1:], bare=not line))
            self.at += 1
        if content and self.at < len(self.lines) and self.lines[self.at].strip() == "*** End of File":
            self.at += 1
        while content and content[-1].bare:
            content.pop()
        return FilePatch("add", path, first, (Hunk(1, first, tuple(content)),))

    def _update(self, path: str) -> FilePatch:
        first = self.at + self.offset
        self.at += 1
        move_to = self._marker("Move to") if self.at < len(self.lines) else None
        self.at += 1 if move_to else 0
        hunks: list[Hunk] = []
        while (draft := self._hunk()) is not None:
            hunks.append(draft.hunk(len(hunks) + 1))
        if not hunks and not move_to:
            raise ToolError(
                f"{path}: the update at line {first} of the patch has no hunk, so it changes nothing."
            )
        return FilePatch("update", path, first, tuple(hunks), move_to)

    def _hunk(self) -> _Draft | None:
        self._skip_blank_lines()
        if self.at >= len(self.lines) or self._at_file_marker():
            return None
        draft = _Draft(self.at + self.offset)
        while self.at < len(self.lines) and self.lines[self.at].startswith("@@"):
            self._anchor(draft)
        while (
            self.at < len(self.lines)
            and not self.lines[self.at].startswith("@@")
            and not self._at_file_marker()
        ):
            line = self.lines[self.at] if self.lines[self.at] != "\r" else ""
            if line.rstrip() == "*** End of File":
                draft.end_of_file = True
                self.at += 1
                break
            if line[:1] not in (" ", "+", "-", ""):
                raise self._wrong("expected a line of a hunk (it begins with ` `, `-` or `+`), or `@@`")
            draft.lines.append(PatchLine(line[0], line[1:]) if line else PatchLine(" ", "", bare=True))  # type: ignore[arg-type]
            self.at += 1
        if not draft.lines:
            raise ToolError(f"The hunk at line {draft.line} of the patch has no lines.")
        return draft

    def _anchor(self, draft: _Draft) -> None:
        anchor = self.lines[self.at][2:].strip()
        if found := _RANGE.match(anchor):  # written as in a unified diff: a hint, and perhaps an anchor
            draft.start, anchor = int(found[1]), ""
        anchor = anchor.removesuffix("@@").rstrip()
        if anchor:
            draft.anchors.append(anchor)
        self.at += 1

    def _at_file_marker(self) -> bool:
        line = self.lines[self.at]
        return line.startswith("*** ") and line.rstrip() != "*** End of File"

    def _skip_blank_lines(self) -> None:
        """Skip blank lines that end at a marker or at the end; others belong to a hunk."""
        rest = next((i for i in range(self.at, len(self.lines)) if self.lines[i].strip()), len(self.lines))
        if rest == len(self.lines) or self.lines[rest].startswith(("*** ", "@@")):
            self.at = rest

    def _wrong(self, expected: str) -> ToolError:
        number, line = self.at + self.offset, self.lines[self.at]
        return ToolError(
            f"Line {number} of the patch is wrong: {expected}. It is {line[:200]!r}. Nothing was changed."
        )
