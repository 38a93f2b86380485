"""Python API for runs and replays: each is a child process, its events are pydantic models.

    import anyio
    from agent_runtime import api

    async def main() -> None:
        async with api.run("Write greet.py.", workspace="hello") as run:
            async for event in run:
                if event.type == "tool_call":
                    print(event.tool, event.input)
        print(run.exit_code, run.complete.output)

    anyio.run(main)

With `output`, a pydantic model, the final answer is an instance of it:

    result = await api.collect(api.run("Who wrote greet.py?", output=Author))
    print(result.parsed(Author).name)

The child is `python -I -m agent_runtime`: requests, events and exit statuses are those of the command line. Works
with asyncio and trio.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, TypeAdapter

from agent_runtime.errors import AgentRuntimeError
from agent_runtime.protocol.events import AnyEvent, CompleteEvent
from agent_runtime.protocol.request import Request
from agent_runtime.protocol.request_body import request_body, unattended
from agent_runtime.transcripts.reader import Transcript

__all__ = ["Event", "NoAnswer", "Result", "Run", "RuntimeExited", "Transcript", "collect", "replay", "run"]

Event = AnyEvent
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
_LINE_LIMIT = 2 << 20  # bytes; the runtime writes lines of at most 1 MiB
M = TypeVar("M", bound=BaseModel)
_GRACE = 5.0  # seconds that a run which is closed early has to end


class RuntimeExited(AgentRuntimeError):
    """The child process ended without `complete`: it was killed, or it could not be started."""


class NoAnswer(AgentRuntimeError):
    """The run has no structured answer: it did not complete, or its request had no schema for the answer."""


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
        return _parsed(self.complete, model)

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


def run(
    request: str | Mapping[str, Any] | Request,
    *,
    workspace: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    socket: str | Path | None = None,
    output: type[BaseModel] | None = None,
) -> Run:
    """Return a run of a request.

    Args:
        request: the prompt, or a request as a mapping or a model; see docs/reference.md for its fields.
        workspace: the folder that the agent works in; by default that of the request, or the current folder.
        env: the environment of the runtime, with the API keys; by default that of this process.
        socket: path of the socket of a standby server that is to execute the run.
        output: the final answer is an instance of this model, which `Run.parsed` returns; its JSON Schema is the
            request's `outputSchema`.
    """
    body = request_body(request)
    if workspace is not None:
        body["workspace"] = str(Path(workspace).absolute())
    if output is not None:
        body["outputSchema"] = output.model_json_schema()
    arguments = ["run", "--format", "ndjson"]
    if socket is not None:
        arguments += ["--socket", str(socket)]
    return Run(arguments, body=body, env=env, cwd=None)


def replay(
    transcript: str | Path,
    *,
    workspace: str | Path | None = None,
    tools: Literal["execute", "recorded"] | None = None,
    verify: bool | Literal["requests"] = False,
    speed: float | Literal["max"] = "max",
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Run:
    """Return a replay of a recorded run, which calls no model.

    Args:
        transcript: the file.
        workspace: the folder that the tools work in.
        tools: execute the tools, or use their recorded results; by default they are executed if `workspace` is given.
        verify: compare the events (with "requests" also the model requests) with the recorded ones. When they differ,
            the exit status is 4 and `complete.error` names the first difference.
        speed: the recorded waiting times are divided by it.
        options: further options of `agent-runtime replay`.
        env: the environment of the runtime.
    """
    chosen = tools or ("recorded" if workspace is None else "execute")
    arguments = ["replay", str(transcript), "--format", "ndjson", "--tools", chosen, "--speed", str(speed)]
    if workspace is not None:
        arguments += ["--workspace", str(workspace)]
    if verify:
        arguments.append("--verify=requests" if verify == "requests" else "--verify")
    return Run([*arguments, *options], body=None, env=env, cwd=None)


@dataclass(frozen=True)
class Result:
    """The events of a run, and its exit status."""

    events: list[Event]
    exit_code: int

    @property
    def complete(self) -> CompleteEvent:
        """The last event."""
        last = self.events[-1]
        assert isinstance(last, CompleteEvent)
        return last

    def parsed(self, model: type[M]) -> M:
        """Return the final answer as an instance of `model`. Raises NoAnswer, or pydantic's ValidationError."""
        return _parsed(self.complete, model)


def _parsed(complete: CompleteEvent | None, model: type[M]) -> M:
    if complete is None or complete.structured_output is None:
        reason = complete.error.message if complete and complete.error else "the run has no structured answer"
        raise NoAnswer(reason)
    return model.model_validate(complete.structured_output)


async def collect(run: Run) -> Result:
    """Wait for the end of a run, and return its events and exit status. Raises RuntimeExited.

    Nobody sees the questions of the run before it has ended. Where the request has no `questionTimeout` they are not
    waited for: a run on a thread ends with the status `waiting`, another one goes on without an answer.
    """
    async with run.unattended():
        events = [event async for event in run]
    assert run.exit_code is not None
    return Result(events, run.exit_code)
