"""The search engine where ripgrep is installed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

from agent_runtime.files.worker import FileWorker
from agent_runtime.git.ignore_tree import Ignore
from agent_runtime.search.pattern_syntax import closes_too_much
from agent_runtime.search.results import FileMatches, Query, SearchMatch

_SAME_FILES = (  # as `scanning` sees them: the ignore files in the tree decide, in a repository or not
    "--no-config",
    "--hidden",
    "--glob=!.git",
    "--no-ignore-global",
    "--no-ignore-exclude",
    "--no-messages",
    "--sort=path",
)


# What means another thing elsewhere: `\z` and `\B` see line ends here, and `a*+` is greedy
_ODD = re.compile(r"\\[zB]|[*+?}](\?\?|\??[*+{])")


class Unsupported(Exception):
    """ripgrep cannot do this: its message says why. The other engine may be able to."""


def available() -> bool:
    """Is there a ripgrep?"""
    return shutil.which("rg") is not None


async def files(base: Path, worker: FileWorker) -> AsyncGenerator[Path, None]:
    """The files below a folder."""
    async with _running(["--files", "--null", *_SAME_FILES], base, worker) as (process, where):
        async for name in _split(process, b"\0"):
            yield _path(where, name)


async def search(query: Query, base: Path, worker: FileWorker) -> AsyncGenerator[FileMatches, None]:
    """Files with lines that match. Raises Unsupported when ripgrep does not take the pattern."""
    # without --no-mmap it overlooks NULs far down in a file that is named
    options = ["--json", "--crlf", "--no-mmap", f"--context={query.context}", *_SAME_FILES]
    options += ["--ignore-case"] if query.ignore_case else ["--case-sensitive"]
    async with _running([*options, "--regexp", _pattern(query)], base, worker) as (process, where):
        hits: list[SearchMatch] = []
        found = False
        async for line in _split(process, b"\n"):
            message = json.loads(line)
            kind, data = message["type"], message["data"]
            if kind == "begin":
                hits = []
            elif kind in ("match", "context"):
                hits.append(_hit(data, kind == "match"))
            elif kind == "end" and data["binary_offset"] is None and hits:
                found = True
                yield FileMatches(_path(where, _bytes(data["path"])), tuple(hits))
        error = b"".join([chunk async for chunk in process.stderr]) if process.stderr else b""
        if await process.wait() == 2 and error and not found:
            raise Unsupported(error.decode("utf-8", "replace"))


def _pattern(query: Query) -> str:
    """With the rest of the line: else each match in it is told of, millions in a line of some megabytes."""
    pattern = query.pattern
    if "\0" in pattern:
        raise Unsupported("a NUL cannot be handed over")
    if query.literal:
        pattern = re.sub(r"[\\.+*?()|\[\]{}^$#&~-]", r"\\\g<0>", pattern)
    elif _ODD.search(pattern) or closes_too_much(pattern):
        raise Unsupported(pattern)
    return rf"(?:{pattern})(?-u:[^\n])*"


@asynccontextmanager
async def _running(
    options: Sequence[str], base: Path, worker: FileWorker
) -> AsyncIterator[tuple[Process, Path]]:
    """ripgrep at work in a folder, or on one file of it; gone when the block is left."""
    where = base if base.is_dir() else base.parent
    target = "." if base.is_dir() else f"./{base.name}"
    ignore = await worker.run(partial(Ignore.at, where))
    if ignore.named:
        options = [*options, "--no-ignore-parent"]
    # else it would take no .git for the end of a repository's rules
    if ignore.named or not ignore.repository:
        options = [*options, "--no-require-git"]
    command, user = ["rg", *options, "--", target], worker.credentials
    if user:
        # the directory is entered as that user: `cwd` would be entered before the user is changed
        command = ["sh", "-c", 'cd -P -- "$0" && exec "$@"', str(where), *command]
    process = await anyio.open_process(
        command,
        cwd="/" if user else where,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=user.groups if user else None,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process, where
    finally:
        if process.returncode is None:
            # not process.kill(): that would reap it, behind asyncio's back
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def _split(process: Process, end: bytes) -> AsyncIterator[bytes]:
    """What it prints, cut at `end`."""
    assert process.stdout
    parts: list[bytes] = []
    async for chunk in process.stdout:
        *whole, rest = chunk.split(end)
        for item in whole:
            yield b"".join([*parts, item])
            parts.clear()
        parts.append(rest)


def _hit(data: dict[str, Any], matches: bool) -> SearchMatch:
    raw = _bytes(data["lines"])
    text = raw.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    found = data["submatches"]
    at = len(raw[: found[0]["start"]].decode("utf-8", "replace")) if found else 0
    return SearchMatch(data["line_number"], text, matches, at)


def _bytes(value: dict[str, str]) -> bytes:
    """ripgrep gives what is not UTF-8 in base64."""
    return value["text"].encode() if "text" in value else base64.b64decode(value["bytes"])


def _path(where: Path, name: bytes) -> Path:
    return where / os.fsdecode(name)
