"""The search engine where there is no ripgrep: the same files, the same order, the same lines."""

from __future__ import annotations

import io
import os
import threading
import time
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
import anyio.lowlevel

from agent_runtime.errors import ToolError
from agent_runtime.files.worker import FileWorker
from agent_runtime.git.ignore_tree import Ignore
from agent_runtime.search.pattern_syntax import translated
from agent_runtime.search.results import FileMatches, Query, SearchMatch
from agent_runtime.system.safe_open import open_regular

T = TypeVar("T")


class _Pattern(Protocol):
    """A pattern of the `regex` package, which gives up after a time and lets other threads run meanwhile."""

    def search(self, string: str, *, timeout: float, concurrent: bool) -> Any: ...


_LONGEST = 16 << 20  # bytes of a line; what is longer is searched in pieces
_PATIENCE = 2.0  # seconds for one line: only a pattern that backtracks without end takes them
_BATCH = 0.1  # seconds of work between two looks at whether the call was cancelled


async def files(base: Path, worker: FileWorker) -> AsyncGenerator[Path, None]:
    """The files below a folder."""
    async with aclosing(_in_thread(worker, walk(base))) as found:
        async for path in found:
            yield path


async def search(query: Query, base: Path, worker: FileWorker) -> AsyncGenerator[FileMatches, None]:
    """Files with lines that match. Raises ToolError when the pattern is none, or takes for ever."""
    pattern = _compiled(query)
    async with aclosing(_in_thread(worker, _scan(pattern, query.context, walk(base)))) as found:
        async for file in found:
            if file is not None:
                yield file


def walk(base: Path) -> Iterator[Path]:
    """Regular files below a folder (or the file itself), by name in byte order, ignored ones left out."""
    if not base.is_dir():
        yield base
        return
    yield from _walk(base, Ignore.at(base))


def _walk(folder: Path, ignore: Ignore) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError:
        return
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name == ".git" or ignore.ignores(entry.name, is_folder=is_folder):
            continue
        if is_folder:
            yield from _walk(Path(entry.path), ignore.below(entry.name))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _compiled(query: Query) -> _Pattern:
    import regex  # type: ignore[import-untyped]

    case = regex.IGNORECASE if query.ignore_case else 0
    as_ripgrep = (translated(query.pattern), regex.VERSION1)
    # what ripgrep does not take may be of another dialect: `[[]`
    as_it_is = (query.pattern, regex.VERSION0)
    literal = (regex.escape(query.pattern), regex.VERSION0)
    reason: Exception | None = None
    for pattern, version in [literal] if query.literal else [as_ripgrep, as_it_is]:
        try:
            compiled: _Pattern = regex.compile(pattern, case | version)
            return compiled
        except (regex.error, RecursionError) as error:
            reason = error
    raise ToolError(
        f"The pattern is no regular expression: {reason}. To find it as it is, set `literal`."
    ) from reason


def _scan(pattern: _Pattern, context: int, paths: Iterator[Path]) -> Iterator[FileMatches | None]:
    for path in paths:
        hits = _matches(pattern, context, path)
        yield FileMatches(path, tuple(hits)) if hits else None


def _matches(pattern: _Pattern, context: int, path: Path) -> list[SearchMatch]:
    """The lines of a file that match, with context; none of a file that has a NUL anywhere."""
    hits: list[SearchMatch] = []
    before: list[SearchMatch] = []  # lines that may turn out to be context
    after = 0  # lines still to be given as context
    try:
        for number, line in enumerate(_lines(path), 1):
            if "\0" in line:
                return []
            found = _first(pattern, line, path)
            if found is not None:
                hits += [*before, SearchMatch(number, _shown(line), True, len(_shown(line[:found])))]
                before, after = [], context
            elif after:
                hits.append(SearchMatch(number, _shown(line), False))
                after -= 1
            elif context:
                before = [*before, SearchMatch(number, _shown(line), False)][-context:]
    except OSError:
        return []
    return hits


def _first(pattern: _Pattern, line: str, path: Path) -> int | None:
    try:
        found = pattern.search(line, timeout=_PATIENCE, concurrent=True)
    except TimeoutError:
        raise ToolError(
            f"The pattern takes for ever on a line of {path}: it backtracks (nested repetitions such as "
            "`(a+)+`). Write it more simply."
        ) from None
    return found.start() if found else None


def _lines(path: Path) -> Iterator[str]:
    """Lines without their ends, as ripgrep reads them: UTF-16 by its mark, anything else as UTF-8."""
    with io.BufferedReader(io.FileIO(open_regular(path))) as file:
        mark = file.peek(3)[:3]
        if mark[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
            with io.TextIOWrapper(file, "utf-16", "replace", newline="\n") as wide:
                yield from (line.removesuffix("\n").removesuffix("\r") for line in wide)
            return
        file.read(len(BOM_UTF8) if mark == BOM_UTF8 else 0)
        while line := file.readline(_LONGEST):
            yield line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _shown(line: str) -> str:
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _in_thread(worker: FileWorker, source: Iterator[T]) -> AsyncGenerator[T, None]:
    """An iterator that blocks, run in threads a little at a time."""
    stop = threading.Event()
    try:
        while batch := await worker.run(partial(_some, source, stop.is_set)):
            for item in batch:
                yield item
            await anyio.lowlevel.checkpoint()
    finally:
        stop.set()


def _some(source: Iterator[T], stopped: Callable[[], bool]) -> list[T]:
    """What comes within a moment, one at least; nothing when there is no more."""
    out: list[T] = []
    until = time.monotonic() + _BATCH
    for item in source:
        out.append(item)
        if stopped() or time.monotonic() > until:
            break
    return out
