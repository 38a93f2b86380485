"""Running a search engine as a process that ends with the search, and reading its records."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import Process

from agent_runtime.system.credentials import FileCredentials

_MAX_RECORD = 8 << 20  # bytes; parsing a larger one would block the event loop


class RecordTooLongError(Exception):
    """A record has more than 8 MiB."""


@asynccontextmanager
async def running(
    command: Sequence[str], *, cwd: Path, user: FileCredentials | None = None, request: bytes = b""
) -> AsyncIterator[Process]:
    """A process without our environment, which reads `request` and is killed when the block is left.

    Args:
        command: program and arguments.
        cwd: its working directory.
        user: whose rights it has; None: those of this process.
        request: its standard input.
    """
    if user:
        # the directory is entered as that user: `cwd` would be entered before the user is changed
        command = ["sh", "-c", 'cd -P -- "$0" && exec "$@"', str(cwd), *command]
    process = await _started(command, "/" if user else cwd, user, has_input=bool(request))
    try:
        if process.stdin:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await process.stdin.send(request)
                await process.stdin.aclose()
        yield process
    finally:
        if process.returncode is None:
            # not process.kill(), which would reap it without asyncio noticing
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def _started(
    command: Sequence[str], cwd: str | Path, user: FileCredentials | None, *, has_input: bool
) -> Process:
    """Start a process. Cannot be cancelled halfway, which would leave a process that nobody ends."""
    with anyio.CancelScope(shield=True):
        return await anyio.open_process(
            command,
            cwd=cwd,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=user.groups if user else None,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    raise AssertionError("the scope is never cancelled")  # for type checkers


async def records(process: Process, end: bytes) -> AsyncIterator[bytes]:
    """Yield what a process prints, split at `end`. Raises RecordTooLongError."""
    assert process.stdout
    pieces: list[bytes] = []
    size = 0
    async for chunk in process.stdout:
        *complete, rest = chunk.split(end)
        for item in complete:
            yield b"".join([*pieces, item])
            pieces.clear()
            size = 0
        pieces.append(rest)
        size += len(rest)
        if size > _MAX_RECORD:
            raise RecordTooLongError


async def errors(process: Process) -> str:
    """Return what a process that has closed its output printed to stderr."""
    return (
        b"".join([chunk async for chunk in process.stderr]).decode("utf-8", "replace")
        if process.stderr
        else ""
    )
