"""Streams that are interrupted in any way give every event exactly once, in order, with both clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx2
import pytest

from agent_runtime.client import ApiError, AsyncClient, Client, Event, OtherEvent, StreamLost, stream_state

Json = dict[str, Any]
Answer = Callable[[httpx2.Request, int], httpx2.Response]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_FIRST_DELAY", 0.0)


def events(count: int = 6) -> list[Json]:
    """The stream of a run: start, thinking, ..., complete."""
    start: Json = {
        "type": "start",
        "runtimeVersion": "0",
        "agent": "a",
        "model": "m",
        "provider": "p",
        "workspace": "/w",
        "tools": [],
        "limits": {},
    }
    middle: list[Json] = [
        {"type": "thinking", "content": f"é\u2028{n}\r\n", "kind": "text", "turn": 1}
        for n in range(1, count - 1)
    ]
    end: Json = {
        "type": "complete",
        "status": "completed",
        "stopReason": "end_turn",
        "output": "x",
        "result": "x",
    }
    stamped = {"ts": "2026-01-01T00:00:00.000Z", "runId": "r"}
    return [{**event, "seq": seq, **stamped} for seq, event in enumerate([start, *middle, end])]


def frame(event: Json) -> str:
    text = json.dumps(event, ensure_ascii=False)
    return f"id: {event['seq']}\nevent: {event['type']}\ndata: {text}\n\n"


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that may end with a broken connection."""

    def __init__(self, data: bytes, broken: bool) -> None:
        self._data, self._broken = data, broken

    def __iter__(self) -> Iterator[bytes]:
        yield self._data
        if self._broken:
            raise httpx2.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Api:
    """A server that sends `lengths[n]` bytes of the stream to the n-th connection, and then drops it."""

    def __init__(self, stream: list[Json], lengths: list[int], *, broken: bool = True) -> None:
        self.stream, self.lengths, self.broken = stream, lengths, broken
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        number = len(self.requests)
        self.requests.append(request)
        after = int(request.url.params.get("after", -1))
        data = "".join(frame(event) for event in self.stream if event["seq"] > after).encode()
        headers = {"content-type": "text/event-stream", "x-run-id": "r", "x-thread-id": "t"}
        if number < len(self.lengths):
            body = Body(b": ping\n\n" + data[: self.lengths[number]], self.broken)
        else:
            body = Body(data, False)
        return httpx2.Response(200, headers=headers, stream=body)


def read_sync(handler: Callable[[httpx2.Request], httpx2.Response], after: int | None = None) -> list[Event]:
    client = Client(transport=httpx2.MockTransport(handler))
    with client, client.run("go") if after is None else client.events("r", after) as run:
        return list(run)


def read_async(handler: Callable[[httpx2.Request], httpx2.Response], after: int | None = None) -> list[Event]:
    async def main() -> list[Event]:
        client = AsyncClient(transport=httpx2.MockTransport(handler))
        async with client, client.run("go") if after is None else client.events("r", after) as run:
            return [event async for event in run]

    return anyio.run(main)


READERS = [read_sync, read_async]
Reader = Callable[..., list[Event]]


@pytest.mark.parametrize("read", READERS)
def test_a_stream_cut_at_any_byte_is_completed(read: Reader) -> None:
    stream = events()
    size = sum(len(frame(event).encode()) for event in stream)
    for cut in range(0, size, 7):
        for broken in (True, False):
            api = Api(stream, [cut, 0, max(0, cut - 300)], broken=broken)
            assert [event.seq for event in read(api)] == list(range(len(stream)))


@pytest.mark.parametrize("read", READERS)
def test_a_run_is_started_once(read: Reader) -> None:
    """The request is repeated with its idempotency key until an event came, then the stream is continued."""
    api = Api(events(), [0, 20, 600])
    read(api)
    posts = [request for request in api.requests if request.method == "POST"]
    assert len(posts) == 3
    assert len({request.headers["idempotency-key"] for request in posts}) == 1
    assert all(json.loads(request.content) == {"prompt": "go", "stream": True} for request in posts)
    assert all(request.url.path == "/v1/runs/r/events" for request in api.requests[3:])


@pytest.mark.parametrize("read", READERS)
def test_reading_begins_after_the_given_event(read: Reader) -> None:
    assert [event.seq for event in read(Api(events(), [90]), 2)] == [3, 4, 5]


@pytest.mark.parametrize("read", READERS)
def test_repeated_and_missing_events_are_repaired(read: Reader) -> None:
    stream = events()
    wrong = [stream[0], stream[0], stream[1], stream[3]]  # one event is sent twice, one is missing

    def handler(request: httpx2.Request) -> httpx2.Response:
        after = int(request.url.params.get("after", -1))
        rest = [event for event in stream if event["seq"] > after] if after >= 0 else wrong
        text = "".join(map(frame, rest))
        return httpx2.Response(200, headers={"content-type": "text/event-stream", "x-run-id": "r"}, text=text)

    assert [event.seq for event in read(handler)] == list(range(len(stream)))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("status", "headers", "attempts"),
    [
        (400, {}, 1),
        (401, {}, 1),
        (404, {}, 1),
        (409, {"retry-after": "0"}, 1),
        (410, {}, 1),
        (422, {}, 1),
        (429, {"retry-after": "0"}, 11),
        (500, {}, 11),
        (503, {"retry-after": "0"}, 11),
    ],
)
def test_refusals_are_raised_and_temporary_failures_repeated(
    read: Reader, status: int, headers: dict[str, str], attempts: int
) -> None:
    count = 0

    def handler(request: httpx2.Request) -> httpx2.Response:
        nonlocal count
        count += 1
        body = {"error": {"code": "some_code", "message": "why", "requestId": "q"}}
        return httpx2.Response(status, headers=headers, json=body)

    with pytest.raises(StreamLost if attempts > 1 else ApiError, match="some_code: why"):
        read(handler)
    assert count == attempts


@pytest.mark.parametrize("read", READERS)
def test_events_of_a_newer_version_are_kept(read: Reader) -> None:
    stream = events()
    stream[2] |= {"type": "weather", "sky": "blue"}
    stream[-1] |= {"newField": 1}
    found = read(Api(stream, []))
    assert isinstance(found[2], OtherEvent) and found[2].data["sky"] == "blue"
    assert isinstance(found[-1], OtherEvent) and found[-1].type == "complete"


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"error": 1}', '{"error": {"code": null}}'])
def test_an_answer_of_another_server_is_an_error_with_its_status(text: str) -> None:
    client = Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(502, text=text)))
    with client, pytest.raises(ApiError, match=r"^502 http_error: "):
        client.get_run("r")
