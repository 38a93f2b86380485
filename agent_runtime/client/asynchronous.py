"""The client for asyncio and trio."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import httpx2

from agent_runtime.client import calls
from agent_runtime.client.async_run_stream import AsyncRunStream
from agent_runtime.client.calls import Call
from agent_runtime.client.stream_state import OtherEvent
from agent_runtime.protocol.events import CompleteEvent
from agent_runtime.protocol.request import Request
from agent_runtime.protocol.request_body import request_body


class AsyncClient:
    """A client of one server. Every method raises ApiError when the server refuses, and httpx2.TransportError when
    it cannot be reached; streams are continued instead.

    Args:
        base_url: address of the server.
        api_key: sent as a bearer token.
        max_retries: failed attempts in a row to continue a stream.
        transport: of the HTTP client, for tests.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8080",
        *,
        api_key: str | None = None,
        max_retries: int = 10,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.max_retries = max_retries
        self.http = httpx2.AsyncClient(
            base_url=base_url, headers=calls.headers(api_key), timeout=calls.TIMEOUT, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    # -- runs -------------------------------------------------------------------------------------------------

    def run(self, request: str | Mapping[str, Any] | Request) -> AsyncRunStream:
        """Return a new run as a stream of events. It is started when the first event is requested."""
        call = calls.start(request_body(request), stream=True, key=uuid.uuid4().hex)
        return AsyncRunStream(self.http, call, max_retries=self.max_retries)

    async def run_to_end(self, request: str | Mapping[str, Any] | Request) -> CompleteEvent | OtherEvent:
        """Execute a run, and return its last event."""
        async with self.run(request) as run:
            async for _ in run:
                pass
            assert run.complete
            return run.complete

    def events(self, run_id: str, after: int = -1) -> AsyncRunStream:
        """Return the events of a run, those after the event with `seq` `after`."""
        call = calls.events(run_id, after)
        return AsyncRunStream(self.http, call, max_retries=self.max_retries, run_id=run_id, after=after)

    async def get_run(self, run_id: str) -> dict[str, Any]:
        """Return the status of a run, or its result when it has ended."""
        return await self._data(calls.run(run_id))

    def runs(
        self, *, agent: str | None = None, status: str | None = None, thread_id: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the runs, the latest first."""
        return self._pages("/v1/runs", agent=agent, status=status, threadId=thread_id)

    async def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        await self._data(calls.control(run_id, "cancel"))

    async def pause(self, run_id: str) -> None:
        """Pause a run before its next model call or tool call."""
        await self._data(calls.control(run_id, "pause"))

    async def resume(self, run_id: str) -> None:
        """Continue a run after `pause`."""
        await self._data(calls.control(run_id, "resume"))

    async def input(self, run_id: str, text: str) -> None:
        """Send a user message to a run."""
        await self._data(calls.control(run_id, "input", text=text))

    async def answer(self, run_id: str, question_id: str, text: str) -> None:
        """Answer a question of a run."""
        await self._data(calls.control(run_id, "answer", id=question_id, text=text))

    async def freeze(self, run_id: str) -> None:
        """Freeze a run for a snapshot of its machine, which may be taken after the notice `frozen`."""
        await self._data(calls.control(run_id, "freeze"))

    async def thaw(
        self,
        run_id: str,
        *,
        new_run_id: str | None = None,
        sandbox_id: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Continue a run after `freeze`.

        Args:
            run_id: of the run.
            new_run_id: of its events from now on, when it is a fork of the snapshot.
            sandbox_id: of the machine that it is on now.
            env: variables of the tools that have changed.
        """
        await self._data(calls.thaw(run_id, new_run_id, sandbox_id, env))

    # -- threads and the server ---------------------------------------------------------------------------------

    def threads(self, *, agent: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Iterate over the threads, the last used first."""
        return self._pages("/v1/run/threads", agent=agent)

    async def get_thread(self, thread_id: str) -> dict[str, Any]:
        """Return a thread with its messages and the ids of its runs."""
        return await self._data(calls.thread("GET", thread_id))

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._data(calls.thread("DELETE", thread_id))

    async def fork_thread(self, thread_id: str, new_id: str | None = None) -> dict[str, Any]:
        """Copy a thread, and return the copy."""
        return await self._data(calls.fork(thread_id, new_id))

    async def models(self) -> dict[str, Any]:
        """Return the models and the providers that the server knows."""
        return await self._data(Call("GET", "/v1/models"))

    async def agents(self) -> list[dict[str, Any]]:
        """Return the agent definitions that the server knows."""
        return [row async for row in self._pages("/v1/agents")]

    # -- requests -----------------------------------------------------------------------------------------------

    async def _data(self, call: Call) -> dict[str, Any]:
        body = calls.checked(await self.http.request(call.method, call.path, **call.options()))
        data: dict[str, Any] = body["data"]
        return data

    async def _pages(self, path: str, **filters: str | int | None) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            call = calls.listing(path, cursor, **filters)
            body = calls.checked(await self.http.request(call.method, call.path, **call.options()))
            for row in body["data"]:
                yield row
            cursor = body["meta"].get("nextCursor")
            if cursor is None:
                return
