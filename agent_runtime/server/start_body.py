"""The body of a request that starts a run: what the API adds to the request of the runtime, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.prompting.agent_definitions import agent_directories, find_agent
from agent_runtime.protocol.request import Request, parse

_MANAGED_TOOLS = ("web_search", "ask_user", "update_plan")  # they access neither files nor processes
# Seconds that a question waits for an answer when the caller gets only the result: it cannot see the question, others
# who follow the run can. The run then ends with the status `waiting`, and the next run on its thread brings the answer.
_UNSEEN_QUESTION = 10.0
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class StartBody:
    """A checked body.

    Attributes:
        stream: answer with server-sent events, not with one JSON object.
        on_disconnect: `continue` or `cancel`: what happens to the run when the client disconnects.
    """

    request: Request
    stream: bool
    on_disconnect: str

    @classmethod
    def parse(
        cls, body: Any, headers: Mapping[str, str], *, stream_by_default: bool, workspace: Path
    ) -> StartBody:
        """Check the body of a request, with the headers that belong to it. Raises RequestError."""
        fields, on_disconnect = body, None
        if isinstance(body, dict):
            own = ("onDisconnect", "on_disconnect")
            fields = {name: value for name, value in body.items() if name not in own}
            on_disconnect = body.get("onDisconnect", body.get("on_disconnect"))
        request, _ = parse(fields)
        if on_disconnect not in (None, "continue", "cancel"):
            raise RequestError("onDisconnect", f'expected "continue" or "cancel", got {on_disconnect!r:.80}')
        trace = headers.get("traceparent", "")
        if request.traceparent is None and _TRACEPARENT.fullmatch(trace):  # W3C: an invalid one is ignored
            request = request.model_copy(update={"traceparent": trace})
        if request.execution_mode == "managed":
            request = _managed(request, workspace)
        stream = stream_by_default if request.stream is None else request.stream
        if not stream and request.ask_user and request.question_timeout is None:
            request = request.model_copy(update={"question_timeout": _UNSEEN_QUESTION})
        return cls(request, stream, on_disconnect or "continue")


def _managed(request: Request, workspace: Path) -> Request:
    """The request of a run that accesses neither files nor processes of this machine. Raises RequestError."""
    for index, name in enumerate(request.tools or ()):
        if name not in _MANAGED_TOOLS and not name.startswith("mcp__"):
            known = ", ".join(_MANAGED_TOOLS)
            raise RequestError(
                f"tools[{index}]",
                f"expected one of {known}, or a tool of an MCP server, in a managed run, got {name!r:.80}",
            )
    for name, server in (request.mcp_servers or {}).items():
        if server.command is not None:
            raise RequestError(f"mcpServers.{name}", "expected a server with a `url` in a managed run")
    for field, given in (("mcpConfig", request.mcp_config), ("workspaceMcp", request.workspace_mcp)):
        if given:
            raise RequestError(field, "expected only `mcpServers` in a managed run")
    agent = find_agent(request.agent or "code-assistant", agent_directories(workspace))
    if any("command" in server for server in (agent.mcp_servers or {}).values() if isinstance(server, dict)):
        raise RequestError(
            "agent", f"expected no MCP servers that are programs in a managed run: {agent.path}"
        )
    return request if request.tools else request.model_copy(update={"tools": ["web_search"]})
