"""The requests of the API, without sending them: shared by both clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx2

from agent_runtime.client.errors import ApiError
from agent_runtime.version import VERSION

# The server sends something every 15 seconds; a connection that is silent for longer is lost.
TIMEOUT = httpx2.Timeout(30, read=45)


@dataclass(frozen=True)
class Call:
    """A request: method, path, query and JSON body."""

    method: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the HTTP client's methods."""
        return {"params": dict(self.params), "json": self.json, "headers": dict(self.headers)}


def headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of all requests."""
    found = {"User-Agent": f"agent-runtime/{VERSION}"}
    return found | {"Authorization": f"Bearer {api_key}"} if api_key else found


def checked(response: httpx2.Response) -> dict[str, Any]:
    """Return the JSON object of a response. Raises ApiError when the server refused the request."""
    if not response.is_success:
        raise ApiError.of(response)
    body: dict[str, Any] = response.json()
    return body


def start(body: Mapping[str, Any], *, stream: bool, key: str) -> Call:
    """Start a run; `key` makes it safe to repeat the request."""
    return Call("POST", "/v1/run", json={**body, "stream": stream}, headers={"Idempotency-Key": key})


def events(run_id: str, after: int) -> Call:
    """The stream of a run after an event."""
    return Call("GET", f"/v1/runs/{_quoted(run_id)}/events", {"after": after} if after >= 0 else {})


def run(run_id: str) -> Call:
    """The status or the result of a run."""
    return Call("GET", f"/v1/runs/{_quoted(run_id)}")


def control(run_id: str, action: str, **fields: Any) -> Call:
    """A control message to a run; fields that are None are left out."""
    body = {name: value for name, value in fields.items() if value is not None}
    return Call("POST", f"/v1/runs/{_quoted(run_id)}/{action}", json=body)


def thaw(run_id: str, new_run_id: str | None, sandbox_id: str | None, env: Mapping[str, str] | None) -> Call:
    """Continue a frozen run; what is not None has changed."""
    return control(run_id, "thaw", runId=new_run_id, sandboxId=sandbox_id, env=env)


def listing(path: str, cursor: str | None, **filters: str | int | None) -> Call:
    """A page of a list."""
    params = {name: value for name, value in {**filters, "cursor": cursor}.items() if value is not None}
    return Call("GET", path, params)


def thread(method: str, thread_id: str) -> Call:
    """Read or delete a thread."""
    return Call(method, f"/v1/run/threads/{_quoted(thread_id)}")


def fork(thread_id: str, new_id: str | None) -> Call:
    """Copy a thread."""
    return Call("POST", f"/v1/run/threads/{_quoted(thread_id)}/fork", json={"as": new_id} if new_id else {})


def _quoted(name: str) -> str:
    return quote(name, safe="")
