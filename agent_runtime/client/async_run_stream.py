"""The stream of a run's events for asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Self

import anyio
import httpx2

from agent_runtime.client import calls
from agent_runtime.client.calls import Call
from agent_runtime.client.errors import ApiError
from agent_runtime.client.stream_state import (
    INTERRUPTIONS,
    MAX_EVENT_SIZE,
    Event,
    InterruptedStream,
    NothingFollows,
    OtherEvent,
    StreamState,
)
from agent_runtime.protocol.events import CompleteEvent


class AsyncRunStream:
    """The events of a run; returned by `AsyncClient.run` and `AsyncClient.events`.

    Leaving the `async with` block closes the connection; the run itself goes on.

    Attributes:
        run_id, thread_id: known when the first event was received.
    """

    def __init__(
        self, http: httpx2.AsyncClient, first: Call, *, max_retries: int, run_id: str = "", after: int = -1
    ) -> None:
        self._http, self._first = http, first
        self.run_id, self.thread_id = run_id, ""
        self._state = StreamState(max_retries, after)
        self._connection = AsyncExitStack()
        self._messages: AsyncIterator[httpx2.ServerSentEvent] | None = None

    @property
    def complete(self) -> CompleteEvent | OtherEvent | None:
        """The last event of the run; None before it was received."""
        return self._state.complete

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Return the next event. Raises ApiError when the server refuses, and StreamLost when it stays away."""
        while self._state.complete is None:
            try:
                event = await self._next()
            except NothingFollows:
                break
            except INTERRUPTIONS as error:
                await self._disconnect()
                await anyio.sleep(self._state.delay(error))
                continue
            if event is not None:
                return event
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection."""
        await self._disconnect()

    async def cancel(self) -> None:
        """Cancel the run."""
        await self._send(calls.control(self.run_id, "cancel"))

    async def pause(self) -> None:
        """Pause the run before its next model call or tool call."""
        await self._send(calls.control(self.run_id, "pause"))

    async def resume(self) -> None:
        """Continue after `pause`."""
        await self._send(calls.control(self.run_id, "resume"))

    async def input(self, text: str) -> None:
        """Send a user message, which is delivered before the next model call."""
        await self._send(calls.control(self.run_id, "input", text=text))

    async def answer(self, question_id: str, text: str) -> None:
        """Answer a question."""
        await self._send(calls.control(self.run_id, "answer", id=question_id, text=text))

    async def freeze(self) -> None:
        """Freeze the run; see `AsyncClient.freeze`."""
        await self._send(calls.control(self.run_id, "freeze"))

    async def thaw(
        self,
        *,
        new_run_id: str | None = None,
        sandbox_id: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Continue after `freeze`; see `AsyncClient.thaw`."""
        await self._send(calls.thaw(self.run_id, new_run_id, sandbox_id, env))

    async def _send(self, call: Call) -> None:
        calls.checked(await self._http.request(call.method, call.path, **call.options()))

    async def _next(self) -> Event | None:
        if self._messages is None:
            self._messages = await self._connect()
        try:
            message = await anext(self._messages)
        except StopAsyncIteration:
            raise InterruptedStream("the stream ended before `complete`") from None
        return self._state.accept(message)

    async def _connect(self) -> AsyncIterator[httpx2.ServerSentEvent]:
        known = self.run_id and self._state.after >= 0
        call = calls.events(self.run_id, self._state.after) if known else self._first
        source = await self._connection.enter_async_context(
            self._http.sse(call.path, method=call.method, max_event_size=MAX_EVENT_SIZE, **call.options())
        )
        if not source.response.is_success:
            await source.response.aread()
            raise ApiError.of(source.response)
        if source.response.status_code == 204:
            raise NothingFollows
        self.run_id = source.response.headers.get("x-run-id", self.run_id)
        self.thread_id = source.response.headers.get("x-thread-id", self.thread_id)
        return aiter(source)

    async def _disconnect(self) -> None:
        self._messages = None
        await self._connection.aclose()
