"""An MCP server in a request: the form of Claude Code's `.mcp.json`, with the further fields of Codex."""

from __future__ import annotations

from typing import Literal

from agent_runtime.models.base import Field, model_validator
from agent_runtime.protocol.body import Body, Name, PathName, Seconds

_TYPES = 'expected "stdio" with a `command`, or "http" with a `url`'


class McpServer(Body):
    """A server: a program that speaks MCP on its stdin and stdout, or the URL of one (streamable HTTP).

    `${VAR}` and `${VAR:-default}` in strings are replaced by variables of the environment. `timeout` limits a tool
    call: in milliseconds from 1000 on, as in Claude Code; smaller numbers are in seconds.
    """

    type: Literal["stdio", "http", "streamable-http"] | None = None
    command: PathName | None = None
    args: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    cwd: PathName | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Seconds | None = None
    tool_timeout_sec: Seconds | None = None
    startup_timeout_sec: Seconds | None = None
    required: bool = False
    enabled: bool = True
    enabled_tools: list[Name] | None = None
    disabled_tools: list[Name] = Field(default_factory=list)
    always_load: bool = False

    @model_validator(mode="after")
    def _has_one_transport(self) -> McpServer:
        is_http = self.type in ("http", "streamable-http") if self.type else self.command is None
        wanted, other = (self.url, self.command) if is_http else (self.command, self.url)
        if wanted is None or other is not None:
            raise ValueError(f"{_TYPES}, and not both")
        return self

    @property
    def call_seconds(self) -> float | None:
        """The limit of a tool call in seconds; None where the server has none of its own."""
        if self.tool_timeout_sec is not None:
            return self.tool_timeout_sec
        if self.timeout is None:
            return None
        return self.timeout / 1000 if self.timeout >= 1000 else self.timeout
