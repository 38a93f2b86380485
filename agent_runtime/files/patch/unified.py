"""Unified diffs, of `diff -u` and of git with its extended headers, as a patch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent_runtime.errors import ToolError
from agent_runtime.files.patch.hunk_body import HunkBody
from agent_runtime.files.patch.model import FilePatch, Hunk

# models leave numbers out
_UNNUMBERED = re.compile(r"^@@(?!\s*-\d)\s*(?:\.\.\.)?\s*([^@]*?)\s*(?:@@ ?(.*))?$")
_HUNK = re.compile(r"^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)$")
_GIT = re.compile(r"^([a-z]/)?(.+) ([a-z]/)?\2$")  # the same name twice: it may have blanks in it
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\S+')
_NOTHING = "/dev/null"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass
class _Section:
    """One file of the diff, as its headers say."""

    line: int
    git: bool = False
    old: str | None = None
    new: str | None = None
    renamed_from: str | None = None
    renamed_to: str | None = None
    created: bool = False
    deleted: bool = False
    mode: str | None = None
    hunks: list[Hunk] = field(default_factory=list)

    def patch(self) -> FilePatch:
        executable = {"100755": True, "100644": False}.get(self.mode or "")
        if self.mode and executable is None:
            raise ToolError(
                f"Line {self.line} of the patch: mode {self.mode} (a symlink or submodule) is not supported."
            )
        old, new = self._names()
        # `a/x` twice: a folder `a`, if there is one
        literal = self.new if self.old == self.new != new else None
        hunks = tuple(self.hunks)
        if self.created or old == _NOTHING:
            self._require(new, "the new file")
            if any(line.tag != "+" for hunk in hunks for line in hunk.lines):
                raise ToolError(
                    f"{new}: a new file (line {self.line} of the patch) has lines that are not `+` lines."
                )
            return FilePatch("add", new or "", self.line, hunks, executable=executable)
        if self.deleted or new == _NOTHING:
            self._require(old, "the deleted file")
            return FilePatch("delete", old or "", self.line, hunks)
        if self.renamed_from and self.renamed_to:
            return FilePatch("update", self.renamed_from, self.line, hunks, self.renamed_to, executable)
        self._require(new, "the file")
        if not hunks and executable is None:
            raise ToolError(
                f"{new}: the patch (line {self.line}) changes nothing in it: there is no `@@` hunk."
            )
        if literal:
            return FilePatch("update", literal, self.line, hunks, executable=executable, other=new)
        return FilePatch("update", new or "", self.line, hunks, executable=executable, other=old)

    def _names(self) -> tuple[str | None, str | None]:
        old, new = self.old, self.new
        prefixes = {name[:2] for name in (old, new) if name and name != _NOTHING}
        if prefixes <= {"a/", "b/"} or (self.git and prefixes <= {"i/", "w/", "c/", "o/"}):
            old, new = (name if name is None or name == _NOTHING else name[2:] for name in (old, new))
        return old, new

    def _require(self, name: str | None, what: str) -> None:
        if not name or name == _NOTHING:
            raise ToolError(f"Line {self.line} of the patch: {what} has no name.")


def parse_unified(lines: Sequence[str], first: int, *, closed: bool = False) -> list[FilePatch]:
    """A diff of one or more files. `closed`: something after it says that it is whole.

    Lines before and between the files that are no headers are taken for prose.
    """
    return _Diff(lines, first, closed).parse()


class _Diff:
    def __init__(self, lines: Sequence[str], first: int, closed: bool) -> None:
        self.lines = lines
        self.closed = closed
        self.at = first
        self.section: _Section | None = None
        self.sections: list[_Section] = []

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
                self._extended(line)
            else:
                self._prose(line)
            self.at += 1
        return [section.patch() for section in self.sections]

    def _git(self, line: str) -> None:
        self._open(git=True)
        assert self.section
        names = line.removeprefix("diff --git ")
        if '"' in names:
            old, new, *_ = [_unquoted(name) for name in _QUOTED.findall(names)] * 2
            self.section.old, self.section.new = old, new
        elif found := _GIT.match(names):
            prefix, name, other = found.groups()
            self.section.old, self.section.new = (prefix or "") + name, (other or "") + name

    def _names(self) -> None:
        if not (self.section and self.section.git and not self.section.hunks):
            self._open(git=False)
        assert self.section
        self.section.old, self.section.new = _name(self.lines[self.at][4:]), _name(self._ahead(1)[4:])
        self.at += 1

    def _open(self, *, git: bool) -> None:
        self.section = _Section(self.at + 1, git)
        self.sections.append(self.section)

    def _extended(self, line: str) -> None:
        assert self.section
        word = line.partition(" mode ")
        if line.startswith(("new mode ", "new file mode ")):
            self.section.mode = word[2].strip()
            self.section.created |= line.startswith("new file")
        elif line.startswith("deleted file mode "):
            self.section.deleted = True
        elif line.startswith("rename from "):
            self.section.renamed_from = _unquoted(line[12:].strip())
        elif line.startswith("rename to "):
            self.section.renamed_to = _unquoted(line[10:].strip())
        elif line.startswith(("copy from ", "copy to ")):
            raise ToolError(
                f"Line {self.at + 1} of the patch: copies are not supported; add the new file instead."
            )
        elif line.startswith(("Binary files ", "GIT binary patch")):
            raise ToolError(f"Line {self.at + 1} of the patch: binary changes are not supported.")

    def _prose(self, line: str) -> None:
        if (
            self.section
            and self.section.hunks
            and line[:1] in ("+", "-")
            and line.rstrip() not in ("--", "+")
        ):
            raise ToolError(
                f"Line {self.at + 1} of the patch belongs to no hunk: {line[:200]!r}. Nothing was changed."
            )

    def _ahead(self, by: int) -> str:
        return self.lines[self.at + by] if self.at + by < len(self.lines) else ""

    def _hunk(self, line: str) -> None:
        if self.section is None:
            raise ToolError(
                f"Line {self.at + 1} of the patch: a hunk before any file name (`---` and `+++` lines)."
            )
        header = _HUNK.match(line)
        unnumbered = None if header else _UNNUMBERED.match(line)
        if not header and not unnumbered:
            raise ToolError(
                f"Line {self.at + 1} of the patch: {line[:200]!r} is no hunk header; expected `@@ "
                "-start,count +start,count @@`."
            )
        counts = [int(header[2] or 1), int(header[4] or 1)] if header else None
        body = HunkBody(self.lines, self.at + 1, counts)
        body.read()
        where = self.at + 1
        if not body.lines:
            raise ToolError(
                f"The hunk at line {where} of the patch has no lines: each begins with ` `, `-` or `+`. After it "
                f"comes {self._ahead(1)[:200]!r}. Nothing was changed."
            )
        if body.cut and counts and not self.closed:
            raise ToolError(
                f"The hunk at line {where} of the patch ends early: its header says {counts[0]} old and "
                f"{counts[1]} new lines, there are {body.old} and {body.new}. The patch was cut, or its counts "
                "are wrong. Nothing was changed."
            )
        number, lines = len(self.section.hunks) + 1, tuple(body.lines)
        start = int(header[1]) + (1 if header[2] == "0" else 0) if header else None
        anchors = tuple(text for text in unnumbered.groups() if text) if unnumbered else ()
        self.section.hunks.append(
            Hunk(number, where, lines, anchors, start=start, old_open=body.old_open, new_open=body.new_open)
        )
        self.at = body.at - 1


def _name(text: str) -> str:
    return _unquoted(re.split(r"\t", text, maxsplit=1)[0].rstrip())


def _unquoted(name: str) -> str:
    """Git puts names with unusual characters into quotes, escaped as in C, bytes in octal."""
    if not (len(name) > 1 and name.startswith('"') and name.endswith('"')):
        return name
    escaped = re.sub(
        r"\\([0-7]{3}|.)",
        lambda m: chr(int(m[1], 8)) if m[1].isdigit() else _ESCAPES.get(m[1], m[1]),
        name[1:-1].encode().decode("latin-1"),
    )
    return escaped.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
