"""Runs of the API: starting their processes, following their streams."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.output.event_writer import timestamp
from agent_runtime.protocol.request import Request
from agent_runtime.server.errors import ApiError, not_found
from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.system.file_watch import FileWatch
from agent_runtime.system.processes import Process

_PIECE = 1 << 20  # bytes that are read of a stream at once
_LOOK = 1.0  # seconds after which a silent run is looked at: its process may have been killed


@dataclass(frozen=True)
class Line:
    """An event of a stream: its number, its type, and the JSON as it was written."""

    seq: int
    type: str
    text: str


class Runs:
    """The runs of a state directory. Nothing about a run is in the memory of this process alone.

    Args:
        state_dir: the state directory.
        workspace: of requests that name none.
        environ: the environment of the runs, with the models' keys.
        watch: knows when a stream grows.
    """

    def __init__(
        self, state_dir: Path, workspace: Path, environ: Mapping[str, str], watch: FileWatch
    ) -> None:
        self.state_dir, self._workspace, self._watch = state_dir, workspace, watch
        self._environ = {**environ, "AGENT_RUNTIME_STATE_DIR": str(state_dir)}
        self._children: set[subprocess.Popen[bytes]] = set()

    def files(self, run_id: str) -> RunFiles:
        """The files of a run. Raises ApiError 404."""
        files = RunFiles(self.state_dir / "runs" / run_id.replace(":", "_"))
        if "/" in run_id or files.record() is None:
            raise not_found(f"run {run_id!r}")
        return files

    def start(self, request: Request, *, run_id: str, thread_id: str, on_disconnect: str) -> RunFiles:
        """Start the process of a run. It goes on when this server ends. Raises ApiError 409 when the id is taken."""
        files = RunFiles(self.state_dir / "runs" / run_id.replace(":", "_"))
        try:
            files.folder.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            raise ApiError(409, "conflict", f"there is a run {run_id!r} already") from None
        os.mkfifo(files.control, 0o600)
        body = request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        body |= {"runId": run_id, "threadId": thread_id, "format": "ndjson"}
        body.setdefault("workspace", str(self._workspace))
        process = self._spawn(files, json.dumps(body).encode())
        row = Process.of(process.pid)
        files.write_record(
            RunRecord(
                run_id=run_id,
                thread_id=thread_id,
                agent=request.agent or "code-assistant",
                created=timestamp(),
                pid=process.pid,
                started=row.start if row else 0,
                sandbox_id=request.sandbox_id,
                on_disconnect=on_disconnect,
            )
        )
        return files

    def _spawn(self, files: RunFiles, body: bytes) -> subprocess.Popen[bytes]:
        # the request goes by a file without a name: it may contain keys
        memory = os.memfd_create("request", os.MFD_CLOEXEC)
        with os.fdopen(memory, "wb") as file:
            file.write(body)
            file.flush()
            file.seek(0)
            os.set_inheritable(memory, True)
            stdin = os.open(
                files.control, os.O_RDWR | os.O_CLOEXEC
            )  # never at its end: the run holds both sides
            with files.events.open("ab") as out, files.log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-m", "agent_runtime", "run", "--request", f"/dev/fd/{memory}"],
                    stdin=stdin,
                    stdout=out,
                    stderr=log,
                    env=self._environ,
                    pass_fds=[memory],
                    start_new_session=True,
                )
            os.close(stdin)
        self._children = {child for child in self._children if child.poll() is None} | {process}
        return process

    async def follow(self, files: RunFiles, after: int = -1) -> AsyncIterator[Line]:
        """The events after `after`, as they come, until `complete`."""
        record = files.record()
        assert record
        with files.events.open("rb") as file:
            rest = b""
            while True:
                piece = await asyncio.to_thread(file.read, _PIECE)
                if not piece:
                    await self._wait(files, record)
                    continue
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["seq"] > after:
                        yield Line(event["seq"], event["type"], line.decode())
                    if event["type"] == "complete":
                        return

    async def _wait(self, files: RunFiles, record: RunRecord) -> None:
        for child in list(self._children):
            if child.poll() is not None:
                self._children.discard(child)
        size = files.events.stat().st_size
        if not files.is_alive(record):
            await asyncio.to_thread(files.outcome, record)
            return
        if files.events.stat().st_size == size:
            await self._watch.changed(files.events, _LOOK)

    async def first(self, files: RunFiles) -> Line:
        """The first event."""
        async for line in self.follow(files):
            return line
        raise AssertionError("a stream has a first event")

    async def result(self, files: RunFiles) -> dict[str, Any]:
        """The `complete` event, when it is there."""
        last: dict[str, Any] = {}
        async for line in self.follow(files):
            if line.type == "complete":
                last = json.loads(line.text)
        return last

    def listed(self) -> list[RunRecord]:
        """All runs that a server has started, the latest first."""
        try:
            folders = list((self.state_dir / "runs").iterdir())
        except OSError:
            return []
        records = (RunFiles(folder).record() for folder in folders)
        return sorted(filter(None, records), key=lambda record: (record.created, record.run_id), reverse=True)
