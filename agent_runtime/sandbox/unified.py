"""Unified diffs, of `diff -u` and of git with its extended headers, as a patch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent_runtime.errors import ToolError
from agent_runtime.sandbox.patchset import FilePatch, Hunk, PatchLine

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$")
_GIT = re.compile(r"^([a-z]/)?(.+) ([a-z]/)?\2$")  # the same name twice: it may have blanks in it
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\S+')
_NOTHING = "/dev/null"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def looks_unified(lines: Sequence[str]) -> int | None:
    """The line at which a unified diff begins, if one does."""
    for i, line in enumerate(lines):
        if line.startswith("diff --git ") or (
            line.startswith("--- ") and "".join(lines[i + 1 : i + 2]).startswith("+++ ")
        ):
            return i
    return None


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


def parse_unified(lines: Sequence[str], first: int) -> list[FilePatch]:
    """A diff of one or more files.

    Lines before and between the files that are no headers are taken for prose.
    """
    return _Diff(lines, first).parse()


class _Diff:
    def __init__(self, lines: Sequence[str], first: int) -> None:
        self.lines = lines
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
        if not header:
            raise ToolError(
                f"Line {self.at + 1} of the patch: {line[:200]!r} is no hunk header; expected `@@ "
                "-start,count +start,count @@`."
            )
        counts = [int(header[2] or 1), int(header[4] or 1)]
        body = _Body(self.lines, self.at + 1, counts)
        body.read()
        where = self.at + 1
        if not body.lines:
            raise ToolError(f"The hunk at line {where} of the patch has no lines. Nothing was changed.")
        if body.cut:
            raise ToolError(
                f"The hunk at line {where} of the patch ends early: its header says {counts[0]} old and "
                f"{counts[1]} new "
                f"lines, there are {body.old} and {body.new}. The patch was cut, or its counts are "
                "wrong. Nothing was changed."
            )
        number = len(self.section.hunks) + 1
        start = int(header[1]) + (1 if header[2] == "0" else 0)
        self.section.hunks.append(
            Hunk(
                number, where, tuple(body.lines), start=start, old_open=body.old_open, new_open=body.new_open
            )
        )
        self.at = body.at - 1


class _Body:
    """The lines of a hunk: as many as its header says, or up to the next header where the header is wrong."""

    def __init__(self, lines: Sequence[str], at: int, counts: list[int]) -> None:
        self.source, self.at, self.counts = lines, at, counts
        self.lines: list[PatchLine] = []
        self.old = self.new = 0
        self.old_open = self.new_open = self.cut = False

    def read(self) -> None:
        while self.at < len(self.source) and self._take(self.source[self.at]):
            self.at += 1
        while not self._counted() and self.lines and self.lines[-1].bare:
            self._drop_last()
        rest = "".join(self.source[self.at :]).strip()
        self.cut = (self.old < self.counts[0] or self.new < self.counts[1]) and rest in (
            "",
            "*** End Patch",
            "```",
        )

    def _take(self, line: str) -> bool:
        if line.startswith("\\"):
            self._no_line_end()
            return True
        if self._counted() and (
            self._is_header() or line.rstrip() == "--" or line[:1] not in ("+", "-", " ")
        ):
            return False
        if not self._counted() and self._is_header() and (line[:2] in ("@@", "di") or self._two_headers()):
            return False
        if line in ("", "\r"):
            self._add(PatchLine(" ", "", bare=True))
        elif line[0] in " +-":
            self._add(PatchLine(line[0], line[1:]))  # type: ignore[arg-type]
        else:
            return False
        return True

    def _counted(self) -> bool:
        return self.old >= self.counts[0] and self.new >= self.counts[1]

    def _is_header(self) -> bool:
        return looks_unified(self.source[self.at : self.at + 2]) == 0 or self.source[self.at].startswith("@@")

    def _two_headers(self) -> bool:
        return "".join(self.source[self.at + 2 : self.at + 3]).startswith("@@")

    def _add(self, line: PatchLine) -> None:
        self.lines.append(line)
        self.old += line.tag != "+"
        self.new += line.tag != "-"

    def _drop_last(self) -> None:
        self.lines.pop()
        self.old -= 1
        self.new -= 1

    def _no_line_end(self) -> None:
        if self.lines:
            self.old_open |= self.lines[-1].tag != "+"
            self.new_open |= self.lines[-1].tag != "-"


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
