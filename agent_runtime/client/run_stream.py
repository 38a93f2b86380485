"""The stream of a run's events without asyncio; made by scripts/make-client."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Self

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


class RunStream:
    """The events of a run; returned by `Client.run` and `Client.events`.

    Leaving the `with` block closes the connection; the run itself goes on.

    Attributes:
        run_id, thread_id: known when the first event was received.
    """

    def __init__(
        self, http: httpx2.Client, first: Call, *, max_retries: int, run_id: str = "", after: int = -1
    ) -> None:
        self._http, self._first = http, first
        self.run_id, self.thread_id = run_id, ""
        self._state = StreamState(max_retries, after)
        self._connection = ExitStack()
        self._messages: Iterator[httpx2.ServerSentEvent] | None = None

    @property
    def complete(self) -> CompleteEvent | OtherEvent | None:
        """The last event of the run; None before it was received."""
        return self._state.complete

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Return the next event. Raises ApiError when the server refuses, and StreamLost when it stays away."""
        while self._state.complete is None:
            try:
                event = self._next()
            except NothingFollows:
                break
            except INTERRUPTIONS as error:
                self._disconnect()
                time.sleep(self._state.delay(error))
                continue
            if event is not None:
                return event
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    def cancel(self) -> None:
        """Cancel the run."""
        self._send(calls.control(self.run_id, "cancel"))

    def pause(self) -> None:
        """Pause the run before its next model call or tool call."""
        self._send(calls.control(self.run_id, "pause"))

    def resume(self) -> None:
        """Continue after `pause`."""
        self._send(calls.control(self.run_id, "resume"))

    def input(self, text: str) -> None:
        """Send a user message, which is delivered before the next model call."""
        self._send(calls.control(self.run_id, "input", text=text))

    def answer(self, question_id: str, text: str) -> None:
        """Answer a question."""
        self._send(calls.control(self.run_id, "answer", id=question_id, text=text))

    def freeze(self) -> None:
        """Freeze the run; see `Client.freeze`."""
        self._send(calls.control(self.run_id, "freeze"))

    def thaw(
        self,
        *,
        new_run_id: str | None = None,
        sandbox_id: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Continue after `freeze`; see `Client.thaw`."""
        self._send(calls.thaw(self.run_id, new_run_id, sandbox_id, env))

    def _send(self, call: Call) -> None:
        calls.checked(self._http.request(call.method, call.path, **call.options()))

    def _next(self) -> Event | None:
        if self._messages is None:
            self._messages = self._connect()
        try:
            message = next(self._messages)
        except StopIteration:
            raise InterruptedStream("the stream ended before `complete`") from None
        return self._state.accept(message)

    def _connect(self) -> Iterator[httpx2.ServerSentEvent]:
        known = self.run_id and self._state.after >= 0
        call = calls.events(self.run_id, self._state.after) if known else self._first
        source = self._connection.enter_context(
            self._http.sse(call.path, method=call.method, max_event_size=MAX_EVENT_SIZE, **call.options())
        )
        if not source.response.is_success:
            source.response.read()
            raise ApiError.of(source.response)
        if source.response.status_code == 204:
            raise NothingFollows
        self.run_id = source.response.headers.get("x-run-id", self.run_id)
        self.thread_id = source.response.headers.get("x-thread-id", self.thread_id)
        return iter(source)

    def _disconnect(self) -> None:
        self._messages = None
        self._connection.close()
