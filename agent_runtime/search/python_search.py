"""The search engine where ripgrep is not installed, or does not take the pattern: Python, in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from agent_runtime.errors import ToolError
from agent_runtime.files.worker import FileWorker
from agent_runtime.lazy import lazy_pattern
from agent_runtime.search.process import records, running
from agent_runtime.search.results import FileMatches, Query, SearchMatch

# possessive repetitions, flags of one dialect only, operators of sets
_DIALECT = lazy_pattern(r"(?<!\\)[*+?]\+|\\b\{|\(\?[a-zA-Z-]*[fruRUV]|&&|~~")


def reads_differently(query: Query) -> bool:
    """Return whether the pattern may mean something else here than to ripgrep."""
    return not query.literal and bool(_DIALECT.search(query.pattern[:10_000]))


async def files(base: Path, worker: FileWorker) -> AsyncGenerator[Path, None]:
    """Yield the files below a directory, in order. Raises ToolError when they cannot be listed."""
    async with aclosing(_scan({"pattern": None, "base": str(base), "files": None}, worker)) as found:
        async for record in found:
            yield Path(record["path"])


async def search(
    query: Query, base: Path, worker: FileWorker, paths: Sequence[Path] | None = None
) -> AsyncGenerator[FileMatches, None]:
    """Yield files with lines that match, in order: those below `base`, or only `paths`.

    Raises ToolError when the pattern is not valid, or takes too much time or memory.
    """
    request = {
        "pattern": query.pattern,
        "ignore_case": query.ignore_case,
        "literal": query.literal,
        "context": query.context,
        "base": str(base),
        "files": None if paths is None else [str(path) for path in paths],
    }
    async with aclosing(_scan(request, worker)) as found:
        path: str | None = None
        hits: list[SearchMatch] = []
        async for record in found:  # one file may have several
            if path is not None and record["path"] != path:
                yield FileMatches(Path(path), tuple(hits))
                hits = []
            path = record["path"]
            hits += (SearchMatch(*hit) for hit in record["hits"])
        if path is not None:
            yield FileMatches(Path(path), tuple(hits))


async def _scan(request: dict[str, Any], worker: FileWorker) -> AsyncGenerator[dict[str, Any], None]:
    user = worker.credentials
    rights = {"uid": user.uid, "gid": user.gid, "groups": list(user.groups)} if user else None
    command = [sys.executable, "-I", "-m", "agent_runtime.search.scan"]
    data = json.dumps({**request, "user": rights}).encode()
    async with running(command, cwd=Path("/"), request=data) as process:
        async for line in records(process, b"\n"):
            record = json.loads(line)
            if "error" in record:
                raise ToolError(record["error"])
            yield record
        if (code := await process.wait()) != 0:
            raise ToolError(
                f"The search ended with status {code}: the pattern may take too much time or memory."
            )
