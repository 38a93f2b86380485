"""What the headers of a unified diff say about one file: its names, and whether it is created, deleted or renamed."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import UTC, datetime

from agent_runtime.errors import ToolError
from agent_runtime.files.patch.model import FilePatch, Hunk
from agent_runtime.lazy import dataclass, lazy_pattern

_NOTHING = "/dev/null"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ISO_TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[-+]\d\d:?\d\d)?"
_C_TIME = r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: [A-Z]{3,4})? \d{4}"
_TIME = lazy_pattern(rf"\s({_ISO_TIME}|{_C_TIME})\s*$")


@dataclass
class DiffSection:
    """The headers and hunks of one file.

    Attributes:
        line: where it begins in the patch.
        git: it has a `diff --git` line.
        from_nothing: its only hunk begins with `@@ -0,0`.
        to_nothing: its only hunk says `+0,0 @@`.
        end: the index of the line after the last hunk.
    """

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
    from_nothing: bool = False
    to_nothing: bool = False
    end: int = 0
    _old_is_epoch: bool = False
    _new_is_epoch: bool = False

    def file_names(self, old: str, new: str) -> None:
        """Take the `---` and `+++` lines, without these marks."""
        self.old, self._old_is_epoch = _name(old)
        self.new, self._new_is_epoch = _name(new)

    def extended_header(self, line: str, number: int) -> None:
        """Take a header line of git. Raises ToolError for a change that is not supported."""
        value = line.partition(" mode ")[2].strip()
        if line.startswith(("new mode ", "new file mode ")):
            self.mode = value
            self.created |= line.startswith("new file")
        elif line.startswith("deleted file mode "):
            self.deleted = True
        elif line.startswith("rename from "):
            self.renamed_from = unquoted(line[12:].strip())
        elif line.startswith("rename to "):
            self.renamed_to = unquoted(line[10:].strip())
        elif line.startswith(("copy from ", "copy to ")):
            raise ToolError(
                f"Line {number} of the patch: copies are not supported; add the new file instead."
            )
        elif line.startswith(("Binary files ", "GIT binary patch")):
            raise ToolError(f"Line {number} of the patch: binary changes are not supported.")

    def patch(self) -> FilePatch:
        """Return the change of the file. Raises ToolError when the headers contradict each other or the hunks."""
        executable = {"100755": True, "100644": False}.get(self.mode or "")
        if self.mode and executable is None:
            raise ToolError(
                f"Line {self.line} of the patch: mode {self.mode} (a symlink or submodule) is not supported."
            )
        old, new = self._names()
        hunks = tuple(self.hunks)
        alone = len(hunks) == 1
        # diffs without /dev/null say by the time of a file, the epoch, that it does not exist
        if self.created or old == _NOTHING or (alone and self.from_nothing and self._old_is_epoch):
            self._require(new, "the new file")
            if any(line.tag != "+" for hunk in hunks for line in hunk.lines):
                raise ToolError(
                    f"{new}: a new file (line {self.line} of the patch) has lines that are not `+` lines."
                )
            return FilePatch(
                "add", self._without_directory() or new or "", self.line, hunks, executable=executable
            )
        stripped = self._without_directory()
        others = tuple(name for name in (stripped,) if name)
        if self.deleted or new == _NOTHING or (alone and self.to_nothing and self._new_is_epoch):
            self._require(old, "the deleted file")
            return FilePatch("delete", old or "", self.line, hunks, others=others)
        if self.renamed_from and self.renamed_to:
            return FilePatch("update", self.renamed_from, self.line, hunks, self.renamed_to, executable)
        self._require(new, "the file")
        if not hunks and executable is None:
            raise ToolError(
                f"{new}: the patch (line {self.line}) changes nothing in it: there is no `@@` hunk."
            )
        # `a/x` twice: a directory `a`, if there is one
        literal = self.new if self.old == self.new != new else None
        path, other = (literal, new) if literal else (new or "", old)
        creates = (stripped or new) if alone and self.from_nothing else None
        others = tuple(name for name in (other, stripped) if name)
        return FilePatch(
            "update", path, self.line, hunks, executable=executable, others=others, creates=creates
        )

    def _without_directory(self) -> str | None:
        """The name below two directories that were compared (`diff -ru old new`); None when these were not compared."""
        if not self.old or not self.new or _NOTHING in (self.old, self.new):
            return None
        (first, _, old), (second, _, new) = self.old.partition("/"), self.new.partition("/")
        return new if old and old == new and first != second else None

    def _names(self) -> tuple[str | None, str | None]:
        old, new = self.old, self.new
        prefixes = {name[:2] for name in (old, new) if name and name != _NOTHING}
        if prefixes <= {"a/", "b/"} or (self.git and prefixes <= {"i/", "w/", "c/", "o/"}):
            old, new = (name if name is None or name == _NOTHING else name[2:] for name in (old, new))
        return old, new

    def _require(self, name: str | None, what: str) -> None:
        if not name or name == _NOTHING:
            raise ToolError(f"Line {self.line} of the patch: {what} has no name.")


def unquoted(name: str) -> str:
    """Return a name as git writes it without its quotes: those with unusual characters are escaped as in C."""
    if not (len(name) > 1 and name.startswith('"') and name.endswith('"')):
        return name
    escaped = re.sub(
        r"\\([0-7]{3}|.)",
        lambda m: chr(int(m[1], 8)) if m[1].isdigit() else _ESCAPES.get(m[1], m[1]),
        name[1:-1].encode().decode("latin-1"),
    )
    return escaped.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _name(text: str) -> tuple[str, bool]:
    """The name in a `---` or `+++` line, and whether the time after it is the epoch."""
    found = _TIME.search(text)
    name = text[: found.start()] if found else text.partition("\t")[0]
    return unquoted(name.rstrip()), bool(found and _is_epoch(found[1]))


def _is_epoch(text: str) -> bool:
    if text[0].isdigit():
        try:
            time = datetime.fromisoformat(re.sub(r"\.\d+| (?=[-+])", "", text))
        except ValueError:
            return False
    else:
        try:
            time = datetime.strptime(re.sub(r" [A-Z]{3,4}(?= \d{4}$)", "", text), "%a %b %d %H:%M:%S %Y")
        except ValueError:
            return False
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() == 0
