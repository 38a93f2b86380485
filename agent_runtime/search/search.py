"""Searching a folder by content (`grep`) and by name (`file_search`).

ripgrep does the work where it is installed, `scanning` where it is not (or where the pattern needs what
ripgrep has not, such as lookaround). Both see the same files in the same order: hidden ones too, but not
`.git`, nor what .gitignore files leave out, nor binary files; names are in byte order within a folder. The
words for the model are made here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import visible
from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.replace import sound
from agent_runtime.files.worker import FileWorker
from agent_runtime.search import python_search, ripgrep
from agent_runtime.search.results import FileMatches, Query, SearchMatch
from agent_runtime.shell.truncation import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

Mode = Literal["content", "files", "count"]
_TIMEOUT = 30.0  # seconds; what was found until then is given
_SHOWN_LINE = 400  # characters of a line that matched


@dataclass(frozen=True)
class SearchScope:
    """Where to search.

    A folder or a file, without links in its path, and how its paths are told to the model.
    """

    base: Path
    shown: Callable[[Path], str]
    worker: FileWorker

    @property
    def folder(self) -> Path:
        """What relative globs are relative to."""
        return self.base if self.base.is_dir() else self.base.parent


class Searcher:
    """Searches below paths as the model writes them.

    Args:
        paths: resolves the path to search.
        worker: runs the search, with the rights of the user of the tools.
    """

    def __init__(self, paths: PathResolver, worker: FileWorker) -> None:
        self._paths = paths
        self._worker = worker

    async def grep(
        self,
        pattern: str,
        path: str,
        *,
        glob: str | None = None,
        ignore_case: bool = False,
        literal: bool = False,
        context: int = 0,
        mode: Mode = "content",
        limit: int,
        tokens: int,
    ) -> str:
        """Lines of files that match a pattern. Raises ToolError when the pattern or the path is invalid."""
        query = Query(sound(pattern, "The pattern"), ignore_case, literal, context)
        budget = tokens * BYTES_PER_TOKEN
        return await grep(query, await self._scope(path), glob=glob, mode=mode, limit=limit, budget=budget)

    async def files(self, pattern: str, path: str, *, limit: int, tokens: int) -> str:
        """Files by name: a glob, or a part of the path. Raises ToolError when the path is invalid."""
        return await file_search(
            pattern, await self._scope(path), limit=limit, budget=tokens * BYTES_PER_TOKEN
        )

    async def _scope(self, path: str) -> SearchScope:
        base = await self._worker.run(partial(self._paths.search_base, path))
        return SearchScope(base, self._paths.display_path, self._worker)


async def grep(
    query: Query, scope: SearchScope, *, glob: str | None, mode: Mode, limit: int, budget: int
) -> str:
    """Lines that match a pattern: at most `limit` of them (or files, by the mode), in at most `budget` bytes.

    Raises ToolError when the pattern is none.
    """
    wanted = _matcher(glob, scope)
    report = _Report(scope, mode, limit, budget)
    with anyio.move_on_after(_TIMEOUT) as timer:
        async with aclosing(_found(query, scope)) as found:
            async for file in found:
                if wanted(str(file.path.relative_to(scope.folder))) and not report.add(file):
                    break
    by_line = " Patterns are matched line by line." if "\n" in query.pattern or r"\n" in query.pattern else ""
    return report.text(f"No matches.{by_line}", timer.cancelled_caught)


async def file_search(pattern: str, scope: SearchScope, *, limit: int, budget: int) -> str:
    """Files whose path fits a glob, or has the pattern in it (whatever its case) when that is no glob."""
    by_glob = any(char in pattern for char in "*?[{")
    wanted = _matcher(pattern, scope) if by_glob else partial(_has, pattern.lower())
    report = _Report(scope, "files", limit, budget)
    with anyio.move_on_after(_TIMEOUT) as timer:
        files = (ripgrep if ripgrep.available() else python_search).files(scope.base, scope.worker)
        async with aclosing(files) as found:
            async for path in found:
                if wanted(str(path.relative_to(scope.folder))) and not report.add(FileMatches(path, ())):
                    break
    return report.text("No files found.", timer.cancelled_caught)


async def _found(query: Query, scope: SearchScope) -> AsyncGenerator[FileMatches, None]:
    if ripgrep.available():
        try:
            async with aclosing(ripgrep.search(query, scope.base, scope.worker)) as found:
                async for file in found:
                    yield file
            return
        except ripgrep.Unsupported:
            pass
    async with aclosing(python_search.search(query, scope.base, scope.worker)) as found:
        async for file in found:
            yield file


@dataclass
class _Report:
    """What is shown, as it is found; `add` says whether there is room for more."""

    scope: SearchScope
    mode: Mode
    limit: int
    budget: int
    lines: list[str] = field(default_factory=list)
    count: int = 0
    full: bool = False

    def add(self, file: FileMatches) -> bool:
        path = self.scope.shown(file.path)
        if self.mode == "files":
            self._put(path)
        elif self.mode == "count":
            self._put(f"{path}:{sum(hit.matches for hit in file.hits)}")
        else:
            self._content(path, file.hits)
        return not self.full

    def _content(self, path: str, hits: tuple[SearchMatch, ...]) -> None:
        context = any(not hit.matches for hit in hits)
        before = None
        for hit in hits:
            apart = before is not None and hit.line != before + 1
            if context and self.lines and (apart or before is None):
                self._put("--", counts=False)
            before = hit.line
            sign = ":" if hit.matches else "-"
            self._put(f"{path}{sign}{hit.line}{sign}{_cut(hit)}", counts=hit.matches)

    def _put(self, line: str, counts: bool = True) -> None:
        line = visible(line)
        size = len(line.encode()) + 1
        if self.full or (counts and self.count >= self.limit) or (self.lines and self.budget < size):
            self.full = True
            return
        self.budget -= size
        self.count += counts
        self.lines.append(line)

    def text(self, nothing: str, timed_out: bool) -> str:
        if self.lines and self.lines[-1] == "--":
            self.lines.pop()
        what = "files" if self.mode != "content" else "matches"
        notes: list[str] = []
        if self.full:
            notes.append(
                f"[the first {self.count} {what}; there are more: narrow the search, or raise the limit]"
            )
        if timed_out:
            notes.append(f"[stopped after {_TIMEOUT:.0f} s; there may be more]")
        return "\n".join([*(self.lines or [nothing]), *notes])


def _cut(hit: SearchMatch) -> str:
    """The line, or the part of it around the match when it is long."""
    if len(hit.text) <= _SHOWN_LINE:
        return hit.text
    start = max(0, min(hit.at - 100, len(hit.text) - _SHOWN_LINE))
    end = start + _SHOWN_LINE
    return ("..." if start else "") + hit.text[start:end] + ("..." if end < len(hit.text) else "")


def _has(wanted: str, path: str) -> bool:
    return wanted in path.lower()


def _matcher(glob: str | None, scope: SearchScope) -> Callable[[str], bool]:
    """Paths that a glob means, by the rules of .gitignore lines: without a slash, a name at any depth.

    It may be absolute: from the folder searched on it is taken.
    """
    if not glob:
        return lambda path: True
    from pathspec import GitIgnoreSpec

    negative = glob.startswith("!")
    glob = glob.removeprefix("!").removeprefix("./")
    if glob.startswith(f"{scope.folder}/"):
        glob = glob.removeprefix(str(scope.folder))
    literal = re.sub(r"([\[\]])", r"\\\1", glob)  # `[id].tsx` may well be a name
    spec: GitIgnoreSpec = GitIgnoreSpec.from_lines([*_braces(glob), *_braces(literal)])
    return lambda path: spec.match_file(path) != negative


def _braces(glob: str) -> list[str]:
    """`*.{js,ts}` as `*.js` and `*.ts`: .gitignore patterns have no braces."""
    found = re.search(r"\{([^{}]*)\}", glob)
    if not found:
        return [glob]
    parts = [glob[: found.start()] + part + glob[found.end() :] for part in found[1].split(",")]
    if len(parts) > 100:
        raise ToolError("the glob has too many alternatives")
    return [one for part in parts for one in _braces(part)]
