"""Directory listings of several levels, bounded in size."""

from __future__ import annotations

import os
from dataclasses import field
from pathlib import Path

from agent_runtime.files.line_numbers import visible
from agent_runtime.git.ignore_tree import Ignore
from agent_runtime.lazy import dataclass

MOST = 1_000  # entries listed
_UNOPENED = {".git", "node_modules", "__pycache__", ".venv", ".hg", ".svn"}


@dataclass
class _Output:
    """The lines so far, the bytes that remain, and how many entries did not fit."""

    remaining: int
    lines: list[str] = field(default_factory=list)
    more: int = 0


def listing(folder: Path, display: str, *, depth: int, budget: int) -> str:
    """Return the entries of a directory in byte order, directories with a `/` and, within `depth`, their entries.

    Ignored directories are not listed. At most `budget` bytes are returned. Raises OSError when the directory cannot
    be read.
    """
    with os.scandir(folder):
        pass  # to raise the error of the directory itself; those of directories in it are listed
    out = _Output(budget)
    _list(folder, Ignore.at(folder), "", depth, out)
    if not out.lines:
        return f"{display} is empty."
    if out.more:
        out.lines.append(
            f"[{out.more:,} more entries not listed; list a directory further down, or search for names]"
        )
    return "\n".join(out.lines)


def _list(folder: Path, ignore: Ignore, indent: str, depth: int, out: _Output) -> None:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        _put(out, f"{indent}[{(error.strerror or '').lower()}]")
        return
    for entry in found:
        if entry.is_symlink():
            _put(out, f"{indent}{entry.name} -> {_target(entry)}")
        elif not entry.is_dir(follow_symlinks=False):
            _put(out, f"{indent}{entry.name}")
        elif depth > 1 and (entry.name in _UNOPENED or ignore.ignores(entry.name, is_folder=True)):
            _put(out, f"{indent}{entry.name}/ (not listed)")
        else:
            _put(out, f"{indent}{entry.name}/")
            if depth > 1 and not out.more:
                _list(Path(entry.path), ignore.below(entry.name), indent + "  ", depth - 1, out)


def _target(entry: os.DirEntry[str]) -> str:
    try:
        return str(Path(entry.path).readlink())
    except OSError:
        return "?"


def _put(out: _Output, line: str) -> None:
    line = visible(line).replace("\n", "\\n").replace("\r", "\\r")
    size = len(line.encode()) + 1
    if out.more or len(out.lines) >= MOST or out.remaining < size:
        out.more += 1
        return
    out.remaining -= size
    out.lines.append(line)
