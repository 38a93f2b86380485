"""Unified diffs, of `diff -u` and of git with its extended headers, as a patch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent_runtime.errors import ToolError
from agent_runtime.files.patch.diff_section import DiffSection, unquoted
from agent_runtime.files.patch.hunk_body import HunkBody
from agent_runtime.files.patch.model import FilePatch, Hunk
from agent_runtime.lazy import lazy_pattern

_HUNK = lazy_pattern(r"^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)$")
_QUOTED = lazy_pattern(r'"(?:\\.|[^"\\])*"|\S+')
# lines with which a message between two diffs begins or ends
_MESSAGE = lazy_pattern(r"From [0-9a-f]{7,64}\b|commit [0-9a-f]{7,64}\b|Index: |diff |Only in ")
_SIGNATURE = lazy_pattern(r"--\s*$")
_BULLET = lazy_pattern(r"[-+] \S|-{2,}$")


def parse_unified(lines: Sequence[str], first: int, *, closed: bool = False) -> list[FilePatch]:
    """Parse a diff of one or more files.

    Text before the files and between them is skipped: mail headers, commit messages, notes.

    Args:
        lines: the lines of the patch, without line ends.
        first: the index of the line to begin at.
        closed: something after the diff says that it is complete.

    Raises:
        ToolError: it is not a valid diff; the message names the line.
    """
    return _Diff(lines, first, closed).parse()


class _Diff:
    def __init__(self, lines: Sequence[str], first: int, closed: bool) -> None:
        self.lines = lines
        self.closed = closed
        self.at = first
        self.section: DiffSection | None = None
        self.sections: list[DiffSection] = []
        self.in_message = False

    def parse(self) -> list[FilePatch]:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if line.startswith("diff --git "):
                self._git(line)
            elif line.startswith("--- ") and self._ahead(1).startswith("+++ "):
                self._names()
            elif line.startswith("@@"):
                self._hunk(line)
            elif self.section and self.section.git and not self.section.hunks:
                self.section.extended_header(line, self.at + 1)
            else:
                self._between(line)
            self.at += 1
        return [section.patch() for section in self.sections]

    def _git(self, line: str) -> None:
        section = self._open(git=True)
        names = line.removeprefix("diff --git ")
        if '"' in names:
            old, new, *_ = [unquoted(name) for name in _QUOTED.findall(names)] * 2
            section.old, section.new = old, new
        elif pair := _same_names(names):
            section.old, section.new = pair

    def _names(self) -> None:
        section = self.section
        if section is None or not section.git or section.hunks:
            section = self._open(git=False)
        section.file_names(self.lines[self.at][4:], self._ahead(1)[4:])
        self.at += 1

    def _open(self, *, git: bool) -> DiffSection:
        self.section = DiffSection(self.at + 1, git)
        self.sections.append(self.section)
        self.in_message = False
        return self.section

    def _between(self, line: str) -> None:
        """Skip a line between two hunks or files.

        Raises ToolError for one that may be a part of the hunk before it, whose header counted its lines wrong.
        """
        self.in_message |= bool(_MESSAGE.match(line))
        self.in_message |= bool(_SIGNATURE.match(line)) and self._ahead(1)[:1] not in ("+", "-", " ")
        if self.in_message or not (self.section and self.section.hunks) or line[:1] not in ("+", "-"):
            return
        after_blank = any(not text.strip() for text in self.lines[self.section.end : self.at])
        if line.rstrip() != "+" and not (after_blank and _BULLET.match(line)):
            raise ToolError(
                f"Line {self.at + 1} of the patch belongs to no hunk: {line[:200]!r}. Nothing was changed."
            )

    def _ahead(self, by: int) -> str:
        return self.lines[self.at + by] if self.at + by < len(self.lines) else ""

    def _hunk(self, line: str) -> None:
        number = self.at + 1
        if self.section is None:
            raise ToolError(
                f"Line {number} of the patch: a hunk before any file name (`---` and `+++` lines)."
            )
        header = _HUNK.match(line)
        anchors = () if header else _anchors(line)
        if anchors is None:
            raise ToolError(
                f"Line {number} of the patch: {line[:200]!r} is not a hunk header; expected `@@ "
                "-start,count +start,count @@`."
            )
        counts = (int(header[2] or 1), int(header[4] or 1)) if header else None
        body = HunkBody(self.lines, self.at + 1, counts)
        body.read()
        if not body.lines:
            raise ToolError(
                f"The hunk at line {number} of the patch has no lines: each begins with ` `, `-` or `+`. After it "
                f"comes {self._ahead(1)[:200]!r}. Nothing was changed."
            )
        if body.cut and counts and not self.closed:
            raise ToolError(
                f"The hunk at line {number} of the patch ends early: its header says {counts[0]} old and "
                f"{counts[1]} new lines, there are {body.old} and {body.new}. The patch was cut, or its counts "
                "are wrong. Nothing was changed."
            )
        start = int(header[1]) + (1 if header[2] == "0" else 0) if header else None
        self.section.hunks.append(
            Hunk(
                len(self.section.hunks) + 1,
                number,
                tuple(body.lines),
                anchors,
                start=start,
                old_open=body.old_open,
                new_open=body.new_open,
            )
        )
        if header and len(self.section.hunks) == 1:
            self.section.from_nothing = header[1] == "0" and header[2] == "0"
            self.section.to_nothing = header[3] == "0" and header[4] == "0"
        self.section.end = body.at
        self.at = body.at - 1


def _anchors(line: str) -> tuple[str, ...] | None:
    """The lines that a header names which has no numbers, as models write it; None when it is malformed."""
    text = line[2:].strip()
    if re.match(r"-\d", text):
        return None
    before, _, after = text.removeprefix("...").partition("@@")
    return None if "@" in before else tuple(filter(None, (before.strip(), after.strip())))


def _same_names(names: str) -> tuple[str, str] | None:
    """The two names of a `diff --git` line, which are the same but for a prefix, and may have blanks in them."""
    for first, second in ((2, 2), (0, 0), (0, 2), (2, 0)):
        size = (len(names) - 1 - first - second) // 2
        old, new = names[: first + size], names[first + size + 1 :]
        prefixes = (old[:first], new[:second])
        if (
            size > 0
            and names[first + size] == " "
            and old[first:] == new[second:]
            and all(not prefix or re.fullmatch("[a-z]/", prefix) for prefix in prefixes)
        ):
            return old, new
    return None
