"""Searching a directory by content (`grep`) and by name (`file_search`).

ripgrep does the work where it is installed and takes the pattern; else it is done in Python. Both see the same files in
the same order: hidden ones too, but not `.git`, nor what .gitignore files exclude, nor binary files; names are in byte
order within a directory. Text files that are not UTF-8 are always searched in Python, as ripgrep cannot decode them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import anyio

from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.replace import sound
from agent_runtime.files.spellings import spellings
from agent_runtime.files.worker import FileWorker
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.search import python_search, ripgrep
from agent_runtime.search.globs import Globs, Selects, is_glob, part_of_path
from agent_runtime.search.report import Mode, SearchReport
from agent_runtime.search.results import FileMatches, Query
from agent_runtime.shell.truncation import BYTES_PER_TOKEN

_TIMEOUT = 30.0  # seconds; what was found until then is reported
_LISTING_TIMEOUT = 3.0  # seconds, for files that are not UTF-8
_SPELLINGS = 6  # of a name that are looked for
_MAX_NOT_UTF8 = 2_000  # of these files
# what can match a character that is not ASCII
_NON_ASCII = lazy_pattern(r"[^\x00-\x7f]|(?<!\\)\.|\\[WSDwpPxuUbB]|\[\^")


@dataclass(frozen=True)
class _Scope:
    """A directory or file to search, as a path without symlinks, and the directory that this is in."""

    base: Path
    folder: Path


class Searcher:
    """Searches below paths as the model writes them.

    Args:
        paths: resolves the path to search.
        worker: runs file work, with the rights of the user of the tools.
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
        """Return lines of files that match a pattern: at most `limit` of them (or files, by the mode).

        Raises ToolError when the pattern, the glob or the path is invalid.
        """
        query = Query(sound(pattern, "The pattern"), ignore_case, literal, context)
        scope = await self._scope(path)
        selects = Globs(glob, scope.folder, self._paths.workspace) if glob else None
        report = SearchReport(self._paths.display_path, mode, limit, tokens * BYTES_PER_TOKEN)
        with anyio.move_on_after(_TIMEOUT) as timer:
            async with aclosing(self._found(query, scope.base)) as found:
                async for file in found:
                    if (selects is None or selects(file.path)) and not report.add(file):
                        break
        notes = [f"stopped after {_TIMEOUT:.0f} s; there may be more"] if timer.cancelled_caught else []
        if python_search.reads_differently(query) and not ripgrep.available():
            notes.append("ripgrep is not installed: the pattern was read as one of Python's `regex` module")
        by_line = "\n" in query.pattern or (r"\n" in query.pattern and not literal)
        return report.text("No matches." + " Patterns are matched line by line." * by_line, notes)

    async def files(self, pattern: str, path: str, *, limit: int, tokens: int) -> str:
        """Return files by name: those that a glob selects, or whose path contains the pattern, in any case.

        Raises ToolError when the glob or the path is invalid.
        """
        scope = await self._scope(path)
        where = (scope.folder, self._paths.workspace)
        empty = partial(SearchReport, self._paths.display_path, "files", limit, tokens * BYTES_PER_TOKEN)
        spelled, report = pattern, empty()
        with anyio.move_on_after(_TIMEOUT) as timer:
            # other spellings are tried if nothing has the literal name
            for spelled in [pattern, *(spelling.path for spelling in spellings(pattern))][:_SPELLINGS]:
                report = empty()
                await self._list(scope, _selects(spelled, where), report)
                if not report.empty:
                    break
        notes = [f"stopped after {_TIMEOUT:.0f} s; there may be more"] if timer.cancelled_caught else []
        if not report.empty and spelled != pattern:
            notes.append(f"nothing has the given name: it was read as {spelled}")
        if report.empty and (there := await self._worker.run(partial(_existing, pattern, *where))):
            notes.append(
                f"{self._paths.display_path(there)} exists, but is not searched: it is ignored (by a .gitignore), a "
                "symlink, outside of the directory searched, or a directory without files"
            )
        return report.text("No files found.", notes)

    async def _list(self, scope: _Scope, selects: Selects, report: SearchReport) -> None:
        engine = ripgrep if ripgrep.available() else python_search
        async with aclosing(engine.files(scope.base, self._worker)) as found:
            async for file in found:
                if selects(file) and not report.add(FileMatches(file, ())):
                    return

    async def _scope(self, path: str) -> _Scope:
        def resolve() -> _Scope:
            base = self._paths.search_base(path)
            return _Scope(base, base if base.is_dir() else base.parent)

        return await self._worker.run(resolve)

    async def _found(self, query: Query, base: Path) -> AsyncGenerator[FileMatches, None]:
        """The files with matches, in order: found by ripgrep as far as it can, then in Python."""
        last: tuple[bytes, ...] = ()
        if ripgrep.available():
            try:
                async with aclosing(self._by_ripgrep(query, base)) as found:
                    async for file in found:
                        last = _key(file.path)
                        yield file
                return
            except ripgrep.Unsupported:
                pass
        async with aclosing(python_search.search(query, base, self._worker)) as found:
            async for file in found:
                if _key(file.path) > last:
                    yield file

    async def _by_ripgrep(self, query: Query, base: Path) -> AsyncGenerator[FileMatches, None]:
        """The files with matches: those that are not UTF-8 by the other engine, all others by ripgrep."""
        others = await self._not_utf8(base) if _NON_ASCII.search(query.pattern) else []
        async with (
            aclosing(python_search.search(query, base, self._worker, others)) as decoded,
            aclosing(ripgrep.search(query, base, self._worker)) as found,
        ):
            pending = await anext(decoded, None) if others else None
            async for file in found:
                while pending and _key(pending.path) < _key(file.path):
                    yield pending
                    pending = await anext(decoded, None)
                if file.path not in others:
                    yield file
            while pending:
                yield pending
                pending = await anext(decoded, None)

    async def _not_utf8(self, base: Path) -> list[Path]:
        """The text files that ripgrep cannot decode, in order, as far as they are found in a short time."""
        paths: list[Path] = []
        with anyio.move_on_after(_LISTING_TIMEOUT):
            async with aclosing(ripgrep.not_utf8(base, self._worker)) as found:
                async for path in found:
                    paths.append(path)
                    if len(paths) == _MAX_NOT_UTF8:
                        break
        return sorted(paths, key=_key)


def _selects(pattern: str, where: tuple[Path, Path]) -> Selects:
    is_a_glob = is_glob(pattern) or "," in pattern
    return Globs(pattern, *where) if is_a_glob else part_of_path(pattern, *where)


def _key(path: Path) -> tuple[bytes, ...]:
    """Paths in order: by name in byte order within a directory."""
    return tuple(map(os.fsencode, path.parts))


def _existing(pattern: str, folder: Path, workspace: Path) -> Path | None:
    """What is at a path of this name."""
    path = Path(pattern).expanduser() if pattern.startswith("~/") else Path(pattern)
    places = (folder / path, workspace / path)
    return next(
        (place for place in places if pattern and "\0" not in pattern and os.path.lexists(place)), None
    )
