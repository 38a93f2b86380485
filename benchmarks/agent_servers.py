"""What benchmarks/server_peers.py does with a server, and ours: it is started, given tasks, and followed."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from agent_runtime.testing.runtime import COMMAND, environment


@dataclass(frozen=True)
class Followed:
    """A task that was followed by several clients: seconds from the request to the first event and to the last one."""

    first: float
    done: float
    events: int


class AgentServer(ABC):
    """A server in a process of its own.

    Args:
        program: what is started; see each class.
        folder: an empty one.
        model: URL of the model, without a path.
    """

    name: str
    ready_path: str
    most_followers = 1_000_000

    def __init__(self, program: str, folder: Path, model: str) -> None:
        self.program, self.folder, self.model = program, folder, model
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.process = self._start()
        self.client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", timeout=120, limits=httpx2.Limits(max_connections=None)
        )

    @abstractmethod
    def _start(self) -> subprocess.Popen[bytes]: ...

    @abstractmethod
    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of the task that is started next; the first item says that the stream is open."""
        yield {}

    @abstractmethod
    async def send(self) -> None:
        """Start a task."""

    @abstractmethod
    def is_last(self, event: dict[str, Any]) -> bool:
        """Return whether an event ends a task."""

    @abstractmethod
    async def prepare(self, *, answers: bool) -> None:
        """Prepare the next task; one of which nothing is heard, if the model does not answer."""

    async def ready(self) -> None:
        """Wait until the server answers."""
        while True:
            try:
                await self.client.get(self.ready_path, timeout=3)  # a request that comes too early may hang
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
            else:
                return

    async def task(self, followers: int) -> Followed:
        """Run one task that is followed by so many clients."""
        await self.prepare(answers=True)
        opened, times = asyncio.Semaphore(0), list[float]()

        async def one() -> int:
            count = 0
            async with aclosing(self.follow()) as events:  # type: ignore[type-var]
                async for event in events:
                    if not event:
                        opened.release()
                        continue
                    count += 1
                    times.append(time.perf_counter())
                    if self.is_last(event):
                        break
            return count

        tasks = [asyncio.create_task(one()) for _ in range(followers)]
        for _ in tasks:
            await opened.acquire()
        began = time.perf_counter()
        await self.send()
        count = sum(await asyncio.gather(*tasks))
        return Followed(min(times) - began, max(times) - began, count)

    async def idle(self, followers: int, measure: Callable[[], Awaitable[float]]) -> float:
        """Follow by so many clients, while nothing happens, and measure."""
        await self.prepare(answers=False)
        async with AsyncExitStack() as stack:
            for _ in range(followers):
                await anext(await stack.enter_async_context(aclosing(self.follow())))  # type: ignore[type-var]
            return await measure()

    async def close(self) -> None:
        await self.client.aclose()
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, 10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    async def _sse(self, path: str) -> AsyncIterator[dict[str, Any]]:
        async with self.client.stream("GET", path) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])


class OwnServer(AgentServer):
    """`agent-runtime serve`. Each task is a run, that is, a process; the others have one session for all tasks."""

    name, ready_path = "agent-runtime", "/readyz"
    _run, _waiting = 0, 0

    def _start(self) -> subprocess.Popen[bytes]:
        env = {"ANTHROPIC_BASE_URL": self.model, "ANTHROPIC_API_KEY": "sk-ant-loopback-0123456789"}
        options = [
            "--port",
            str(self.port),
            "--workspace",
            str(self.folder),
            "--state-dir",
            str(self.folder / "state"),
        ]
        return subprocess.Popen(
            [*COMMAND, "serve", *options],
            env=environment(env | {"AGENT_RUNTIME_MODEL": "anthropic:claude-sonnet-4-5"}, self.folder),
            stderr=subprocess.DEVNULL,
        )

    async def prepare(self, *, answers: bool) -> None:
        """Choose the id of the next run. The one that waits for the model is started at once, and once."""
        if not answers and self._waiting:
            self._run = self._waiting
            return
        self._run += 1
        self._started = asyncio.Event()
        if not answers:
            self._waiting = self._run
            await self._post("wait")

    async def _post(self, prompt: str) -> None:
        body = {"prompt": prompt, "runId": f"run{self._run}"}
        async with self.client.stream("POST", "/v1/run", json=body):
            self._started.set()

    async def send(self) -> None:
        """Start a run."""
        await self._post("go")

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the events of a run, which can be followed as soon as it is started."""
        is_idle = self._started.is_set()
        if not is_idle:
            yield {}
            await self._started.wait()
        async for event in self._sse(f"/v1/runs/run{self._run}/events"):
            yield event

    def is_last(self, event: dict[str, Any]) -> bool:
        """See AgentServer."""
        return bool(event["type"] == "complete")
