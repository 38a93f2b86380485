"""The state of a stream that may be interrupted: which event comes next, and when to connect again. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic import TypeAdapter, ValidationError

from agent_runtime.client.errors import ApiError, StreamLost
from agent_runtime.protocol.events import AnyEvent, CompleteEvent

MAX_EVENT_SIZE = 8 << 20  # bytes; a line of the runtime has at most 1 MiB
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0  # seconds
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


@dataclass(frozen=True)
class OtherEvent:
    """An event that this version does not know: its type, or one of its fields, is newer. `data` is the whole event."""

    type: str
    seq: int
    ts: str
    run_id: str
    data: dict[str, Any]


Event = AnyEvent | OtherEvent


@dataclass
class StreamState:
    """Where a reader of a run's stream is.

    Attributes:
        max_retries: failed attempts in a row after which StreamLost is raised.
        after: the `seq` of the last event that was received; -1 before the first.
        complete: the last event of the run, once it was received.
    """

    max_retries: int
    after: int = -1
    complete: CompleteEvent | OtherEvent | None = None
    _failures: int = field(default=0, init=False)

    def accept(self, message: httpx2.ServerSentEvent) -> Event | None:
        """Return the event of a message; None for one without, or with one that was received before.

        Raises InterruptedStream when an event is missing in between.
        """
        if not message.data:  # `retry:`
            return None
        data = json.loads(message.data)
        if data["seq"] <= self.after:
            return None
        if data["seq"] != self.after + 1:
            raise InterruptedStream(f"expected event {self.after + 1}, got {data['seq']}")
        event = decode_event(data)
        self.after, self._failures = data["seq"], 0
        if data["type"] == "complete":
            assert isinstance(event, CompleteEvent | OtherEvent)
            self.complete = event
        return event

    def delay(self, error: Exception) -> float:
        """Return the seconds to wait before the next attempt. Raises ApiError or StreamLost when there is none."""
        if isinstance(error, ApiError) and not (error.temporary or self._still_starting(error)):
            raise error
        self._failures += 1
        if self._failures > self.max_retries:
            raise StreamLost(
                f"{self.max_retries} attempts to continue after event {self.after} failed: {error}"
            )
        if isinstance(error, ApiError) and error.retry_after is not None:
            return error.retry_after
        return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self._failures - 1)))

    def _still_starting(self, error: ApiError) -> bool:
        """Whether the request that started the run was cut off, and the server is still handling it."""
        return error.status == 409 and error.retry_after is not None and self._failures > 0


class InterruptedStream(Exception):
    """A stream ended before `complete`, or an event is missing in it."""


class NothingFollows(Exception):
    """The run has ended, and the stream was asked for what follows its last event."""


# what ends a connection, after which the stream is continued with a new one
INTERRUPTIONS = (httpx2.TransportError, InterruptedStream, ApiError)


def decode_event(data: dict[str, Any]) -> Event:
    """Return the event of a JSON object; an OtherEvent when it does not fit the models of this version."""
    try:
        return _EVENT.validate_python(data)
    except ValidationError:
        return OtherEvent(data["type"], data["seq"], data.get("ts", ""), data.get("runId", ""), data)
