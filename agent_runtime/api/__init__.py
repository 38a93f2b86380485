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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from agent_runtime.api.child_run import Event, NoAnswer, Run, RuntimeExited, parsed_answer
from agent_runtime.protocol.events import CompleteEvent
from agent_runtime.protocol.request import Request
from agent_runtime.protocol.request_body import request_body
from agent_runtime.transcripts.reader import Transcript

__all__ = ["Event", "NoAnswer", "Result", "Run", "RuntimeExited", "Transcript", "collect", "replay", "run"]

M = TypeVar("M", bound=BaseModel)


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
        return parsed_answer(self.complete, model)


async def collect(run: Run) -> Result:
    """Wait for the end of a run, and return its events and exit status. Raises RuntimeExited.

    Nobody sees the questions of the run before it has ended. Where the request has no `questionTimeout` they are not
    waited for: a run on a thread ends with the status `waiting`, another one goes on without an answer.
    """
    async with run.unattended():
        events = [event async for event in run]
    assert run.exit_code is not None
    return Result(events, run.exit_code)
