"""What is searched for, and what was found in a file."""

from __future__ import annotations

from pathlib import Path

from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class Query:
    """A pattern (a regular expression unless `literal`) and the lines of context before and after each match."""

    pattern: str
    ignore_case: bool = False
    literal: bool = False
    context: int = 0


@dataclass(frozen=True)
class SearchMatch:
    """A line, without its end, that matches (at character `at`), or that is context of one."""

    line: int
    text: str
    matches: bool = True
    at: int = 0


@dataclass(frozen=True)
class FileMatches:
    """A file and its lines."""

    path: Path
    hits: tuple[SearchMatch, ...]
