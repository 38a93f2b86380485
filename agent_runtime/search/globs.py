"""Decides which paths a glob, or a part of a path, selects; different spellings of a path are treated alike."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from agent_runtime.errors import ToolError
from agent_runtime.files.names import look
from agent_runtime.files.spellings import spellings
from agent_runtime.git.ignore_patterns import parse
from agent_runtime.lazy import lazy_pattern

_WILD = lazy_pattern(r"[*?\[{]")
_MAX_ALTERNATIVES = 1_000

Selects = Callable[[Path], bool]


def is_glob(text: str) -> bool:
    """Return whether a text has characters that are special in globs."""
    return bool(_WILD.search(text))


class Globs:
    """Selects paths as lines of a .gitignore do: a glob without a slash is for names at any depth.

    Several globs may be given with commas between them, and alternatives in braces; one with `!` in front excludes.

    Args:
        globs: as the model writes them. They may be absolute, or relative to `folder` or to `workspace`.
        folder: the directory that is searched.
        workspace: the directory that the paths of the tools are relative to.

    Raises:
        ToolError: there are too many alternatives.
    """

    def __init__(self, globs: str, folder: Path, workspace: Path) -> None:
        self._folder = folder
        self._spellings = _Spellings(folder, workspace)
        whole = [] if globs.startswith("!") else [globs]
        alternatives = [part.strip() for part in _split(globs)]
        included = [glob for glob in alternatives if glob and not glob.startswith("!")]
        self._included = self._selection(included if len(included) < 2 else included + whole)
        self._excluded = self._selection([glob[1:] for glob in alternatives if glob.startswith("!")])

    def __call__(self, path: Path) -> bool:
        """Return whether a file below the directory is selected."""
        relative = _normal(str(path.relative_to(self._folder))).encode("utf-8", "surrogateescape")
        return (self._included is None or self._included(relative)) and not (
            self._excluded and self._excluded(relative)
        )

    def _selection(self, globs: list[str]) -> Callable[[bytes], bool] | None:
        """A test of relative paths; None when there are no globs."""
        lines: list[str] = []
        for glob in (expanded for one in globs for spelled in _spelled(one) for expanded in _braces(spelled)):
            for spelling in self._spellings.of(_normal(glob)):
                lines += [spelling, re.sub(r"([\[\]])", r"\\\1", spelling)]  # `[id].tsx` may be a name
                if len(lines) > 8 * _MAX_ALTERNATIVES:
                    raise ToolError(f"The glob has more than {_MAX_ALTERNATIVES} alternatives. Give fewer.")
        text = "\n".join(re.sub(r"^([#!])", r"\\\1", line) for line in lines)
        rules = parse(text.encode("utf-8", "surrogateescape"), b"", None)

        def selects(path: bytes) -> bool:
            names = path.split(b"/")
            return rules is not None and any(
                rules.ignores(b"/".join(names[:n]), names[n - 1], n < len(names))
                for n in range(1, len(names) + 1)
            )

        return selects if globs else None


def part_of_path(text: str, folder: Path, workspace: Path) -> Selects:
    """Return a test for paths that contain a text, in any case; see `Globs` for the directories."""
    spellings = [spelling.lower() for spelling in _Spellings(folder, workspace).of(_normal(text))]
    spellings += [spelling.replace("\\", "/") for spelling in spellings if "\\" in spelling]

    def selects(path: Path) -> bool:
        # a slash in front: a spelling that begins with one is anchored
        relative = "/" + _normal(str(path.relative_to(folder))).lower()
        return any(
            relative.startswith(spelling) if spelling.startswith("/") else spelling in relative[1:]
            for spelling in spellings
        )

    return selects


class _Spellings:
    """Finds what a path or glob means relative to a directory that is searched."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        real = workspace.resolve()
        self._folder = _normal(str(folder)).rstrip("/") + "/"
        self._workspaces = [_normal(str(path)).rstrip("/") + "/" for path in (workspace, real)]
        inside = folder.is_relative_to(real)
        self._prefix = _normal(str(folder.relative_to(real))) + "/" if inside and folder != real else ""

    def of(self, text: str) -> list[str]:
        """Return the spellings relative to the directory; one that begins with a slash begins there."""
        text = _simplified(text)
        for workspace in self._workspaces:
            if text.startswith(workspace):  # the workspace may have been reached by a symlink
                text = self._workspaces[-1] + text[len(workspace) :]
                break
        found = [text]
        if text.startswith(self._folder):
            found = [text[len(self._folder) - 1 :]]
        elif self._prefix and text.startswith(self._prefix):
            found.append(text[len(self._prefix) - 1 :])
        return found


def _simplified(text: str) -> str:
    """The path without `./`, `//` and `..`, and with the home directory for `~`."""
    text = str(Path.home()) + text[1:] if text.startswith("~/") else text
    simple = posixpath.normpath(text) if re.search(r"(^|/)\.{0,2}/|/\.{1,2}$", text) else text
    if simple == ".":
        return ""
    return simple + "/" if text.endswith("/") and not simple.endswith("/") else simple


def _normal(text: str) -> str:
    """The text in a form that is equal for all paths that look the same."""
    return text if text.isascii() else look(text)


def _spelled(glob: str) -> list[str]:
    """The glob as given, and without quotes, `file:` and variables. Backslashes stay, as escapes."""
    return [glob, *(other.path for other in spellings(glob) if other.sure and "\\" not in glob)]


def _split(globs: str) -> list[str]:
    """Split at commas outside of braces."""
    out, depth = [""], 0
    for char in globs:
        depth += (char == "{") - (char == "}" and depth > 0)
        if char == "," and not depth:
            out.append("")
        else:
            out[-1] += char
    return out


def _braces(glob: str) -> list[str]:
    """Expand `*.{js,ts}` to `*.js` and `*.ts`: .gitignore patterns have no braces. Raises ToolError for too many."""
    done: list[str] = []
    todo = [glob]
    while todo:
        one = todo.pop()
        found = re.search(r"\{([^{}]*)\}", one)
        if found:
            todo += [
                one[: found.start()] + part + one[found.end() :] for part in reversed(found[1].split(","))
            ]
        else:
            done.append(one)
        if len(todo) + len(done) > _MAX_ALTERNATIVES:
            raise ToolError(f"The glob has more than {_MAX_ALTERNATIVES} alternatives. Give fewer.")
    return done
