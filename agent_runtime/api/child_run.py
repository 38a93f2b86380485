"""A run in a child process: its events, and control messages to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, TypeAdapter

from agent_runtime.errors import AgentRuntimeError
from agent_runtime.protocol.events import AnyEvent, CompleteEvent
from agent_runtime.protocol.request_body import unattended

Event = AnyEvent
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
_LINE_LIMIT = 2 << 20  # bytes; the runtime writes lines of at most 1 MiB
_GRACE = 5.0  # seconds that a run which is closed early has to end
M = TypeVar("M", bound=BaseModel)


class RuntimeExited(AgentRuntimeError):
    """The child process ended without `complete`: it was killed, or it could not be started."""


class NoAnswer(AgentRuntimeError):
    """The run has no structured answer: it did not complete, or its request had no schema for the answer."""


def parsed_answer(complete: CompleteEvent | None, model: type[M]) -> M:
    """Return the final answer as an instance of `model`. Raises NoAnswer, or pydantic's ValidationError."""
    if complete is None or complete.structured_output is None:
        reason = complete.error.message if complete and complete.error else "the run has no structured answer"
        raise NoAnswer(reason)
    return model.model_validate(complete.structured_output)


class Run:
    """A run in a child process; returned by `run` and `replay`.

    Iterate over it for its events, inside `async with`: leaving the block early cancels the run. The process is
    started when the block is entered, or when the first event is requested.

    Attributes:
        exit_code: the exit status of the child; None while it is running.
        complete: the last event; None before it was received.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        body: Mapping[str, Any] | None,
        env: Mapping[str, str] | None,
        cwd: str | None,
    ) -> None:
        self._command = [sys.executable, "-I", "-m", "agent_runtime", *arguments]
        self._body, self._cwd = body, cwd
        self._env = dict(os.environ if env is None else env)
        self._process: Process | None = None
        self._lines: BufferedByteReceiveStream | None = None
        self.exit_code: int | None = None
        self.complete: CompleteEvent | None = None

    def unattended(self) -> Run:
        """Return the run for a caller that reads no events: unless it has started, no question waits for an answer."""
        if self._process is None and self._body is not None:
            self._body = unattended(self._body)
        return self

    async def __aenter__(self) -> Run:
        await self._start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Return the next event. Raises RuntimeExited when the process ended without `complete`."""
        lines = await self._start()
        if self.complete is not None:
            await self._reap()
            raise StopAsyncIteration
        try:
            line = await lines.receive_until(b"\n", _LINE_LIMIT)
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError):
            await self._reap()
            raise RuntimeExited(f"the run ended without `complete`, with status {self.exit_code}") from None
        event = _EVENT.validate_json(line)
        if isinstance(event, CompleteEvent):
            self.complete = event
        return event

    def parsed(self, model: type[M]) -> M:
        """Return the final answer as an instance of `model`. Raises NoAnswer, or pydantic's ValidationError."""
        return parsed_answer(self.complete, model)

    # -- control ----------------------------------------------------------------------------------------------

    async def cancel(self) -> None:
        """Cancel the run; its last events can still be read."""
        await self._control({"action": "cancel"})

    async def pause(self) -> None:
        """Pause the run before its next model call or tool call."""
        await self._control({"action": "pause"})

    async def resume(self) -> None:
        """Continue after `pause`."""
        await self._control({"action": "resume"})

    async def input(self, text: str) -> None:
        """Send a user message, which is delivered before the next model call."""
        await self._control({"action": "input", "text": text})

    async def answer(self, id: str, text: str) -> None:
        """Answer the question of that id; see QuestionEvent."""
        await self._control({"action": "answer", "id": id, "text": text})

    async def aclose(self) -> None:
        """Cancel the run if it has not ended, and wait for its process."""
        if self._process is None or self.exit_code is not None:
            return
        with anyio.CancelScope(shield=True):
            if self.complete is None and self._process.returncode is None:
                self._process.send_signal(signal.SIGTERM)
            with anyio.move_on_after(_GRACE):
                await self._drain()
                await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
            await self._reap()

    # -- the process ------------------------------------------------------------------------------------------

    async def _start(self) -> BufferedByteReceiveStream:
        if self._lines is None:
            process = await anyio.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None,
                env=self._env,
                cwd=self._cwd,
            )
            assert process.stdout
            self._process, self._lines = process, BufferedByteReceiveStream(process.stdout)
            if self._body is not None:
                await self._control(self._body)
        return self._lines

    async def _control(self, message: Mapping[str, Any]) -> None:
        await self._start()
        await self._send(json.dumps(message).encode() + b"\n")

    async def _send(self, data: bytes) -> None:
        assert self._process and self._process.stdin
        try:
            await self._process.stdin.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the run has ended; its last events say why

    async def _drain(self) -> None:
        """Read the rest of the events: the run waits for its reader."""
        assert self._process and self._process.stdout
        try:
            while True:
                await self._process.stdout.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return

    async def _reap(self) -> None:
        assert self._process
        self.exit_code = await self._process.wait()
        await self._process.aclose()
