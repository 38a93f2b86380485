"""The last events of runs that have ended without `complete`: killed, or with their machine."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.server.killed_run import last_events

Json = dict[str, Any]

KILLED = 137  # the exit status where the sandbox reports none
_NEEDED = ("start", "file_edit", "usage", "dev_url")  # besides the last event


class Endings:
    """Follows the events of runs, so that a stream which breaks off can be given its end.

    Every run gets `complete` that way, with the files, addresses and usage that its events have named.
    """

    def __init__(self) -> None:
        self._requests: dict[str, Json] = {}
        self._needed: dict[str, list[Json]] = {}
        self._last: dict[str, Json] = {}

    def begin(self, id: str, request: Json) -> None:
        """Follow a run. Commands are followed from their first event."""
        self._requests[id] = request

    def take(self, id: str, event: Json) -> Json:
        """Follow an event, and return it."""
        if "type" in event:
            kept = {**event, "diff": ""} if event["type"] == "file_edit" else event
            self._last[id] = kept
            if event["type"] in _NEEDED:
                self._needed.setdefault(id, []).append(kept)
        return event

    def copy(self) -> Endings:
        """Return the same, for a fork of the sandbox."""
        other = Endings()
        other._requests, other._last = dict(self._requests), dict(self._last)
        other._needed = {id: list(events) for id, events in self._needed.items()}
        return other

    def end(self, id: str, reason: str, last: Json | None = None) -> list[Json]:
        """Forget a run that has ended. Returns the events that its stream lacks: none, or `error` and `complete`.

        Args:
            reason: why the run has ended, for the message of the error.
            last: the envelope of its last event (`seq`, `ts`, `runId`), where its events were not followed.
        """
        request = self._requests.pop(id, None)
        needed = self._needed.pop(id, [])
        end = self._last.pop(id, {"type": "", **last} if last else None)
        if (request is None and end is None) or (end and end["type"] == "complete"):
            return []
        stream = needed if end is None or end in needed[-1:] else [*needed, end]
        run_id, thread_id = ((request or {}).get(name) for name in ("runId", "threadId"))
        if stream and stream[0]["type"] == "start":
            thread_id = stream[0].get("threadId", thread_id)
        message = f"the run has ended without its last event: {reason}"
        return [
            json.loads(line) for line in last_events(run_id or id, thread_id, stream, message).splitlines()
        ]
