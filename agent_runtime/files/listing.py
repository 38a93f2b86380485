"""What is in a folder, some levels deep, bounded however much there is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from agent_runtime.files.line_numbers import visible
from agent_runtime.git.ignore_tree import Ignore

MOST = 1_000  # entries shown
_UNOPENED = {".git", "node_modules", "__pycache__", ".venv", ".hg", ".svn"}


@dataclass
class Listing:
    """Lines so far; `more` counts the entries that were seen and not shown."""

    lines: list[str] = field(default_factory=list)
    more: int = 0
    room: int = 32_000  # bytes


def listing(folder: Path, shown: str, *, depth: int, budget: int) -> str:
    """Entries by name, folders with a `/` and, within `depth`, with what they hold.

    Ignored folders stay closed.
    """
    out = Listing(room=budget)
    _list(folder, Ignore.at(folder), "", depth, out)
    if not out.lines:
        return f"{shown} is empty."
    if out.more:
        out.lines.append(
            f"[{out.more:,} more entries not shown; list a folder further down, or search for names]"
        )
    return "\n".join(out.lines)


def _list(folder: Path, ignore: Ignore, indent: str, depth: int, out: Listing) -> None:
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


def _put(out: Listing, line: str) -> None:
    line = visible(line).replace("\n", "\\n").replace("\r", "\\r")
    size = len(line.encode()) + 1
    if out.more or len(out.lines) >= MOST or out.room < size:
        out.more += 1
        return
    out.room -= size
    out.lines.append(line)
