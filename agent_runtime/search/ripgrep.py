"""The search engine where ripgrep is installed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from anyio.abc import Process

from agent_runtime.files.worker import FileWorker
from agent_runtime.git.ignore_tree import Ignore
from agent_runtime.lazy import lazy_pattern
from agent_runtime.search.process import RecordTooLongError, errors, records, running
from agent_runtime.search.results import FileMatches, Query, SearchMatch
from agent_runtime.text_encoding import detect

_SAME_FILES = (  # as in Python: the ignore files in the tree decide, in a repository or not
    "--no-config",
    "--hidden",
    "--glob=!.git",
    "--no-ignore-global",
    "--no-ignore-exclude",
    "--no-messages",
)
_NAMES = ("--null", "--sort=path")
_SET = lazy_pattern(r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]?|\\.", re.DOTALL)


class Unsupported(Exception):
    """ripgrep does not take the pattern, or cannot search a file. The other engine may."""


def available() -> bool:
    """Return whether there is a ripgrep."""
    return shutil.which("rg") is not None


async def files(base: Path, worker: FileWorker) -> AsyncGenerator[Path, None]:
    """Yield the files below a directory, in order."""
    async with _running(["--files", *_NAMES], base, worker) as (process, folder):
        async for name in records(process, b"\0"):
            yield _path(folder, name)


async def not_utf8(base: Path, worker: FileWorker) -> AsyncGenerator[Path, None]:
    """Yield the text files below a directory that are not UTF-8 (nor UTF-16 with a byte order mark), in any order."""
    options = ["--files-with-matches", "--null", "--invert-match", "--line-regexp", "--regexp", ".*"]
    async with _running(options, base, worker) as (process, folder):
        async for name in records(process, b"\0"):
            yield _path(folder, name)


async def search(query: Query, base: Path, worker: FileWorker) -> AsyncGenerator[FileMatches, None]:
    """Yield files with lines that match, in order.

    Raises Unsupported when ripgrep does not take the pattern, or when a line is too long for its output.
    """
    # without --no-mmap it overlooks NULs far down in a file whose path is given
    options = ["--json", "--crlf", "--no-mmap", f"--context={query.context}", "--sort=path"]
    options += ["--ignore-case"] if query.ignore_case else ["--case-sensitive"]
    async with _running([*options, "--regexp", _pattern(query)], base, worker) as (process, folder):
        hits: list[SearchMatch] = []
        found = False
        try:
            async for line in records(process, b"\n"):
                message = json.loads(line)
                kind, data = message["type"], message["data"]
                if kind == "begin":
                    hits = []
                elif kind in ("match", "context"):
                    hits.append(_hit(data, kind == "match"))
                elif kind == "end" and data["binary_offset"] is None and hits:
                    found = True
                    yield FileMatches(_path(folder, _bytes(data["path"])), tuple(hits))
        except RecordTooLongError as error:
            raise Unsupported("a line is too long") from error
        message = await errors(process)
        if await process.wait() == 2 and message and not found:
            raise Unsupported(message)


def _pattern(query: Query) -> str:
    """The pattern, extended to the rest of the line: otherwise every match is reported, maybe millions in a line."""
    pattern = query.pattern
    if "\0" in pattern or len(pattern) > 100_000:
        raise Unsupported("not possible as an argument")
    if query.literal:
        pattern = re.sub(r"[\\.+*?()|\[\]{}^$#&~-]", r"\\\g<0>", pattern)
    elif _closes_too_much(pattern):
        raise Unsupported("unbalanced parentheses")
    return rf"(?:{pattern})(?-u:[^\n])*"


def _closes_too_much(pattern: str) -> bool:
    """Whether there is a `)` without a `(`, which would close the group around the pattern."""
    depth = 0
    for char in _SET.sub("", pattern):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return True
    return False


@asynccontextmanager
async def _running(
    options: Sequence[str], base: Path, worker: FileWorker
) -> AsyncIterator[tuple[Process, Path]]:
    """ripgrep at work in a directory, or on one file of it; also gives the directory."""
    folder, ignore = await worker.run(partial(_place, base))
    target = "." if folder == base else f"./{base.name}"
    command = ["rg", *_SAME_FILES, *options]
    if ignore.named:
        command.append("--no-ignore-parent")
    if ignore.named or not ignore.repository:
        # otherwise .gitignore files would not apply
        command.append("--no-require-git")
    async with running([*command, "--", target], cwd=folder, user=worker.credentials) as process:
        yield process, folder


def _place(base: Path) -> tuple[Path, Ignore]:
    folder = base if base.is_dir() else base.parent
    return folder, Ignore.at(folder)


def _hit(data: dict[str, Any], matches: bool) -> SearchMatch:
    raw = _bytes(data["lines"])
    codec = "utf-8" if "text" in data["lines"] else detect(raw).codec
    text = raw.decode(codec, "replace").removesuffix("\n").removesuffix("\r")
    found = data["submatches"]
    at = len(raw[: found[0]["start"]].decode(codec, "replace")) if found else 0
    return SearchMatch(data["line_number"], text, matches, at)


def _bytes(value: dict[str, str]) -> bytes:
    """The bytes of a JSON value of ripgrep, which has what is not UTF-8 in base64."""
    return value["text"].encode() if "text" in value else base64.b64decode(value["bytes"])


def _path(folder: Path, name: bytes) -> Path:
    return folder / os.fsdecode(name)
