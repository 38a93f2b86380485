"""The client without asyncio; made from `asynchronous.py` by scripts/make-client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Self

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
from agent_runtime.protocol.request import Request
from agent_runtime.protocol.request_body import request_body


class Client:
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
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.max_retries = max_retries
        self.http = httpx2.Client(
            base_url=base_url, headers=calls.headers(api_key), timeout=calls.TIMEOUT, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    # -- runs -------------------------------------------------------------------------------------------------

    def run(self, request: str | Mapping[str, Any] | Request) -> RunStream:
        """Return a new run as a stream of events. It is started when the first event is requested."""
        call = calls.start(request_body(request), stream=True, key=uuid.uuid4().hex)
        return RunStream(self, call)

    def run_to_end(self, request: str | Mapping[str, Any] | Request) -> CompleteEvent | OtherEvent:
        """Execute a run, and return its last event."""
        with self.run(request) as run:
            for _ in run:
                pass
            assert run.complete
            return run.complete

    def events(self, run_id: str, after: int = -1) -> RunStream:
        """Return the events of a run, those after the event with `seq` `after`."""
        return RunStream(self, calls.events(run_id, after), run_id=run_id, after=after)

    def get_run(self, run_id: str) -> dict[str, Any]:
        """Return the status of a run, or its result when it has ended."""
        return self._data(calls.run(run_id))

    def runs(
        self, *, agent: str | None = None, status: str | None = None, thread_id: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Iterate over the runs, the latest first."""
        return self._pages("/v1/runs", agent=agent, status=status, threadId=thread_id)

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self._data(calls.control(run_id, "cancel", {}))

    def pause(self, run_id: str) -> None:
        """Pause a run before its next model call or tool call."""
        self._data(calls.control(run_id, "pause", {}))

    def resume(self, run_id: str) -> None:
        """Continue a run after `pause`."""
        self._data(calls.control(run_id, "resume", {}))

    def input(self, run_id: str, text: str) -> None:
        """Send a user message to a run."""
        self._data(calls.control(run_id, "input", {"text": text}))

    def answer(self, run_id: str, question_id: str, text: str) -> None:
        """Answer a question of a run."""
        self._data(calls.control(run_id, "answer", {"id": question_id, "text": text}))

    def freeze(self, run_id: str) -> None:
        """Freeze a run for a snapshot of its machine, which may be taken after the notice `frozen`."""
        self._data(calls.control(run_id, "freeze", {}))

    def thaw(
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
        renewal = {"runId": new_run_id, "sandboxId": sandbox_id, "env": env}
        self._data(calls.control(run_id, "thaw", renewal))

    # -- threads and the server ---------------------------------------------------------------------------------

    def threads(self, *, agent: str | None = None) -> Iterator[dict[str, Any]]:
        """Iterate over the threads, the last used first."""
        return self._pages("/v1/run/threads", agent=agent)

    def get_thread(self, thread_id: str) -> dict[str, Any]:
        """Return a thread with its messages and the ids of its runs."""
        return self._data(calls.thread("GET", thread_id))

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        self._data(calls.thread("DELETE", thread_id))

    def fork_thread(self, thread_id: str, new_id: str | None = None) -> dict[str, Any]:
        """Copy a thread, and return the copy."""
        return self._data(calls.fork(thread_id, new_id))

    def models(self) -> dict[str, Any]:
        """Return the models and the providers that the server knows."""
        return self._data(Call("GET", "/v1/models"))

    def agents(self) -> list[dict[str, Any]]:
        """Return the agent definitions that the server knows."""
        return list(self._pages("/v1/agents"))

    # -- requests -----------------------------------------------------------------------------------------------

    def _data(self, call: Call) -> dict[str, Any]:
        body = calls.checked(self.http.request(call.method, call.path, **call.options()))
        data: dict[str, Any] = body["data"]
        return data

    def _pages(self, path: str, **filters: str | int | None) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            call = calls.listing(path, cursor, **filters)
            body = calls.checked(self.http.request(call.method, call.path, **call.options()))
            yield from body["data"]
            cursor = body["meta"].get("nextCursor")
            if cursor is None:
                return


class RunStream:
    """The events of a run; returned by `Client.run` and `Client.events`.

    Leaving the `with` block closes the connection; the run itself goes on.

    Attributes:
        run_id, thread_id: known when the first event was received.
    """

    def __init__(self, client: Client, first: Call, *, run_id: str = "", after: int = -1) -> None:
        self._client, self._first = client, first
        self.run_id, self.thread_id = run_id, ""
        self._state = StreamState(client.max_retries, after)
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
        self._client.cancel(self.run_id)

    def pause(self) -> None:
        """Pause the run before its next model call or tool call."""
        self._client.pause(self.run_id)

    def resume(self) -> None:
        """Continue after `pause`."""
        self._client.resume(self.run_id)

    def input(self, text: str) -> None:
        """Send a user message, which is delivered before the next model call."""
        self._client.input(self.run_id, text)

    def answer(self, question_id: str, text: str) -> None:
        """Answer a question."""
        self._client.answer(self.run_id, question_id, text)

    def freeze(self) -> None:
        """Freeze the run; see `Client.freeze`."""
        self._client.freeze(self.run_id)

    def thaw(
        self,
        *,
        new_run_id: str | None = None,
        sandbox_id: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Continue after `freeze`; see `Client.thaw`."""
        self._client.thaw(self.run_id, new_run_id=new_run_id, sandbox_id=sandbox_id, env=env)

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
            self._client.http.sse(
                call.path, method=call.method, max_event_size=MAX_EVENT_SIZE, **call.options()
            )
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
