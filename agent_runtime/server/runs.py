"""Runs of the API: starting their processes, following their streams."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from agent_runtime.engine.retention import was_removed
from agent_runtime.output.event_writer import timestamp
from agent_runtime.protocol.request import Request
from agent_runtime.server.control import NotDelivered, TooLong
from agent_runtime.server.errors import ApiError, expired, not_found
from agent_runtime.server.follow import Follower
from agent_runtime.server.launch import Launcher, Streams
from agent_runtime.server.run import read_transcript
from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.server.run_index import ListedRun, RunIndex
from agent_runtime.server.senders import Senders
from agent_runtime.server.stream_file import Line, first_seq
from agent_runtime.system.processes import Process
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.store import NAME

_TEND_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class LocalRun:
    """A run whose process is on this machine; see server.run.Run."""

    files: RunFiles
    record: RunRecord
    _runs: Runs

    def follow(self, after: int = -1) -> AsyncGenerator[list[Line]]:
        """The events after the number `after`, as they come, until `complete`."""
        return self._runs.follow(self.files, self.record, after)

    async def send(self, message: dict[str, Any]) -> bool:
        """Pass on a control message.

        Raises ApiError: 409 when the run does not read it, or its new id is taken, 413 when it is too long.
        """
        if new_id := message.get("runId", message.get("run_id")):  # of the action `thaw`
            await asyncio.to_thread(self._runs.add_id, self.files, new_id)
        try:
            await self._runs.senders.send(self.files, message)
        except NotDelivered as error:
            raise ApiError(409, "conflict", str(error)) from error
        except TooLong as error:
            raise ApiError(413, "payload_too_large", str(error)) from error
        return True

    async def outcome(self) -> dict[str, Any] | None:
        """The `complete` event of a run that has ended, even if its process was killed."""
        return await asyncio.to_thread(self.files.outcome, self.record)

    async def status(self) -> str:
        """The status of a run that has not ended."""
        return "running"

    async def oldest(self) -> int | None:
        """The number of the oldest event that is kept, 0 before the first; None when none are kept."""
        try:
            with self.files.stream.open("rb") as file:
                return first_seq(file) or 0
        except FileNotFoundError:
            return None

    async def transcript(self) -> Transcript:
        """The recording of the run, which may still be going on; without one, its events. Raises ApiError 409."""
        paths = [self.files.folder / NAME, self.files.events]
        return await asyncio.to_thread(read_transcript, paths)


class Runs:
    """The runs of a state directory. All that is known about a run is in files, not only in the memory of this process.

    Args:
        state_dir: the state directory.
        workspace: of requests that name none.
        launcher: starts their processes.
        follower: reads their streams.

    Attributes:
        senders: write their control messages.
    """

    def __init__(self, state_dir: Path, workspace: Path, launcher: Launcher, follower: Follower) -> None:
        self.state_dir, self._workspace = state_dir, workspace
        self._launcher, self._follower = launcher, follower
        self._index = RunIndex(state_dir / "runs")
        self.senders = Senders()

    def files(self, run_id: str) -> RunFiles:
        """The files of a run. Raises ApiError: 404, or 410 when they are no longer kept."""
        name = run_id.replace(":", "_")
        is_name = "/" not in run_id and not run_id.startswith(".")
        first = self._name_of(name) if is_name else None
        files = RunFiles(self.state_dir / "runs" / (first or name))
        record = files.record() if is_name else None
        if record is None and was_removed(self.state_dir, files.folder.name):
            raise expired(f"run {run_id!r} is no longer kept", oldest=None)
        if record is None or (first is None and record.run_id != run_id):
            raise not_found(f"run {run_id!r:.160}")
        return files

    def _name_of(self, name: str) -> str | None:
        """The name of the folder of a run that has this name since it was thawed; None if there is no such run."""
        try:
            return (self.state_dir / "runs" / name).readlink().name
        except (OSError, ValueError):  # not a link, or a name with a NUL
            return None

    def add_id(self, files: RunFiles, run_id: str) -> None:
        """Let a run be found by another id too. Raises ApiError 409 when another run has that id."""
        name = run_id.replace(":", "_")
        link = self.state_dir / "runs" / name
        with suppress(FileExistsError):
            link.symlink_to(files.folder.name)
        if files.folder.name not in (name, self._name_of(name)):
            raise _taken(run_id)

    def remove(self, files: RunFiles) -> None:
        """Remove a run that was refused."""
        shutil.rmtree(files.folder, ignore_errors=True)

    def find(self, run_id: str) -> LocalRun:
        """The run with this id. Raises ApiError: 404, or 410 when it is no longer kept."""
        files = self.files(run_id)
        record = files.record()
        assert record
        return LocalRun(files, record, self)

    def start(self, request: Request, record: RunRecord) -> LocalRun:
        """Start the process of a run. It goes on when this server ends. Raises ApiError 409 when the id is taken."""
        run_id, thread_id = record.run_id, record.thread_id
        files = self._new_folder(record)
        body = request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        body |= {"runId": run_id, "format": "ndjson"} | ({"threadId": thread_id} if thread_id else {})
        body.setdefault("workspace", str(self._workspace))
        pid = self._launch(files, json.dumps(body).encode())
        process = Process.of(pid)
        record = replace(record, pid=pid, started=process.start if process else 0)
        files.add_pid(record)
        return LocalRun(files, record, self)

    def _new_folder(self, record: RunRecord) -> RunFiles:
        """Create the folder of a run with everything in it, in one step."""
        final = self.state_dir / "runs" / record.run_id.replace(":", "_")
        final.parent.mkdir(parents=True, exist_ok=True)
        new = RunFiles(Path(mkdtemp(prefix=".new-", dir=final.parent)))
        try:
            os.mkfifo(new.control, 0o600)
            new.events.touch(0o600)
            new.write_record(record)
            new.folder.rename(final)
        except OSError as error:
            shutil.rmtree(new.folder, ignore_errors=True)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise _taken(record.run_id) from None
        return RunFiles(final)

    def _launch(self, files: RunFiles, request: bytes) -> int:
        # for reading and writing, so that stdin never ends, even when the server does
        stdin = os.open(files.control, os.O_RDWR | os.O_CLOEXEC)
        try:
            with files.events.open("ab") as out, files.log.open("ab") as log:
                return self._launcher.launch(request, Streams(stdin, out.fileno(), log.fileno()))
        finally:
            os.close(stdin)

    async def follow(self, files: RunFiles, record: RunRecord, after: int = -1) -> AsyncGenerator[list[Line]]:
        """The events after the number `after`, as they come, until `complete`."""
        try:
            async for lines in self._follower.follow(files, record, after):
                yield lines
        finally:
            self._launcher.reap()

    def listed(self) -> list[ListedRun]:
        """All runs, the latest first."""
        return self._index.rows()

    def recently_listed(self, seconds: float) -> list[ListedRun]:
        """All runs, the latest first, as they were at most so many seconds ago."""
        return self._index.recent_rows(seconds)

    async def tend(self) -> None:
        """Write the last events of killed runs, even if no client follows them or the disk was full. Never returns."""
        while True:
            await asyncio.to_thread(self.listed)
            self._launcher.reap()
            await asyncio.sleep(_TEND_SECONDS)


def _taken(run_id: str) -> ApiError:
    return ApiError(409, "conflict", f"there is a run {run_id!r} already")


def new_record(
    request: Request, *, run_id: str, thread_id: str | None, on_disconnect: str = "continue"
) -> RunRecord:
    """The record of a run before it is started."""
    own = Process.own()
    given = {
        "rolloutId": request.rollout_id,
        "targetDeviceId": request.target_device_id,
        "executionMode": request.execution_mode,
    }
    return RunRecord(
        run_id=run_id,
        thread_id=thread_id,
        agent=request.agent or "code-assistant",
        created=timestamp(),
        server=own.pid,
        server_started=own.start,
        sandbox_id=request.sandbox_id,
        on_disconnect=on_disconnect,
        fields={name: value for name, value in given.items() if value is not None},
    )
