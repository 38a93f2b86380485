"""Client of the HTTP API for Python programs, with and without asyncio. Events are pydantic models.

    from agent_runtime.client import Client

    with Client("http://127.0.0.1:8080") as client, client.run("Write greet.py.") as run:
        for event in run:
            if event.type == "tool_call":
                print(event.tool, event.input)
        print(run.complete.status, run.complete.output)

A stream that is interrupted continues by itself after the last event that was received.
"""

from __future__ import annotations

from agent_runtime.client.async_run_stream import AsyncRunStream
from agent_runtime.client.asynchronous import AsyncClient
from agent_runtime.client.errors import ApiError, StreamLost
from agent_runtime.client.run_stream import RunStream
from agent_runtime.client.stream_state import Event, OtherEvent
from agent_runtime.client.synchronous import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncRunStream",
    "Client",
    "Event",
    "OtherEvent",
    "RunStream",
    "StreamLost",
]
