"""What a search asks for and what it finds: the words between the two engines and the one report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Query:
    """A pattern (a regular expression unless `literal`) and how many lines of context go with a match."""

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
