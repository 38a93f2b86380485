"""Runs of the API: starting their processes, following their streams."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from agent_runtime.output.event_writer import timestamp
from agent_runtime.protocol.request import Request
from agent_runtime.server.errors import ApiError, not_found
from agent_runtime.server.follow import Follower, Line
from agent_runtime.server.launch import Launcher, Streams
from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.run_index import ListedRun, RunIndex
from agent_runtime.system.processes import Process


class Runs:
    """The runs of a state directory. Nothing about a run is in the memory of this process alone.

    Args:
        state_dir: the state directory.
        workspace: of requests that name none.
        launcher: starts their processes.
        follower: reads their streams.
    """

    def __init__(self, state_dir: Path, workspace: Path, launcher: Launcher, follower: Follower) -> None:
        self.state_dir, self._workspace = state_dir, workspace
        self._launcher, self._follower = launcher, follower
        self._index = RunIndex(state_dir / "runs")
        self._own = Process.own()

    def files(self, run_id: str) -> RunFiles:
        """The files of a run. Raises ApiError 404."""
        files = RunFiles(self.state_dir / "runs" / run_id.replace(":", "_"))
        if "/" in run_id or files.record() is None:
            raise not_found(f"run {run_id!r}")
        return files

    def start(
        self, request: Request, *, run_id: str, thread_id: str | None, on_disconnect: str = "continue"
    ) -> RunFiles:
        """Start the process of a run. It goes on when this server ends. Raises ApiError 409 when the id is taken."""
        record = RunRecord(
            run_id=run_id,
            thread_id=thread_id,
            agent=request.agent or "code-assistant",
            created=timestamp(),
            server=self._own.pid,
            server_started=self._own.start,
            sandbox_id=request.sandbox_id,
            on_disconnect=on_disconnect,
        )
        files = self._new_folder(record)
        body = request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        body |= {"runId": run_id, "format": "ndjson"} | ({"threadId": thread_id} if thread_id else {})
        body.setdefault("workspace", str(self._workspace))
        pid = self._launch(files, json.dumps(body).encode())
        process = Process.of(pid)
        files.write_record(replace(record, pid=pid, started=process.start if process else 0))
        return files

    def _new_folder(self, record: RunRecord) -> RunFiles:
        """Create the folder of a run with everything in it, in one step."""
        final = self.state_dir / "runs" / record.run_id.replace(":", "_")
        final.parent.mkdir(parents=True, exist_ok=True)
        new = RunFiles(Path(mkdtemp(prefix=".new-", dir=final.parent)))
        os.mkfifo(new.control, 0o600)
        new.events.touch(0o600)
        new.write_record(record)
        try:
            new.folder.rename(final)
        except OSError as error:
            shutil.rmtree(new.folder)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise ApiError(409, "conflict", f"there is a run {record.run_id!r} already") from None
        return RunFiles(final)

    def _launch(self, files: RunFiles, request: bytes) -> int:
        # for reading and writing: stdin never ends, not even with the server
        stdin = os.open(files.control, os.O_RDWR | os.O_CLOEXEC)
        try:
            with files.events.open("ab") as out, files.log.open("ab") as log:
                return self._launcher.launch(request, Streams(stdin, out.fileno(), log.fileno()))
        finally:
            os.close(stdin)

    async def follow(self, files: RunFiles, after: int = -1) -> AsyncGenerator[list[Line]]:
        """The events after the number `after`, as they come, until `complete`."""
        record = files.record()
        assert record
        try:
            async for lines in self._follower.follow(files, record, after):
                yield lines
        finally:
            self._launcher.reap()

    async def first(self, files: RunFiles) -> Line:
        """The first event."""
        async with aclosing(self.follow(files)) as stream:
            async for lines in stream:
                return lines[0]
        raise AssertionError("a stream has a first event")

    async def result(self, files: RunFiles) -> dict[str, Any]:
        """The `complete` event, when it is there."""
        last: bytes = b""
        async for lines in self.follow(files):
            last = lines[-1].text
        complete: dict[str, Any] = json.loads(last)
        return complete

    def listed(self) -> list[ListedRun]:
        """All runs that a server has started, the latest first."""
        return self._index.rows()
