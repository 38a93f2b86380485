"""The MCP servers of a run: merged from their sources, with the variables of the environment filled in.

Runs before the first event when servers are named, so nothing of the MCP library is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.mcp_server import McpServer
from agent_runtime.protocol.request_errors import request_error
from agent_runtime.shell.environment import holds_secret
from agent_runtime.system.safe_open import read_bounded

STARTUP_SECONDS = 30.0  # from the start of a server to its list of tools
CALL_SECONDS = 300.0  # of a tool call, where neither the server nor the request says otherwise
WORKSPACE_FILE = ".mcp.json"
TOOL_PREFIX = "mcp__"

_MAX_FILE = 1 << 20  # bytes
_VARIABLE = lazy_pattern(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_INSTALL = (
    "needs the MCP client, which is not installed; install it with `pip install 'agent-runtime[mcp]'`,"
    " or remove the servers"
)


@dataclass(frozen=True)
class ServerConfig:
    """A server to connect to: either `command` with its arguments, or `url`.

    Attributes:
        variables: names and values of the environment that were filled in.
        startup_seconds: from the start of the server to its list of tools.
        call_seconds: limit of a tool call; None: the request's own, or CALL_SECONDS.
        enabled_tools: the names of the tools to offer; None for all.
        always_load: never leave its tools to the provider's tool search.
    """

    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    startup_seconds: float = STARTUP_SECONDS
    call_seconds: float | None = None
    required: bool = False
    enabled_tools: frozenset[str] | None = None
    disabled_tools: frozenset[str] = frozenset()
    always_load: bool = False

    def offers(self, tool: str) -> bool:
        """Return whether a tool of the server is to be offered to the model."""
        return tool not in self.disabled_tools and (self.enabled_tools is None or tool in self.enabled_tools)


def configured(
    sources: Sequence[Mapping[str, McpServer] | None],
    variables: Mapping[str, str],
    keys: Mapping[str, str],
) -> tuple[ServerConfig, ...]:
    """Return the servers of all sources; of two with the same name the first is taken.

    Args:
        sources: the servers by name.
        variables: what `${VAR}` may refer to.
        keys: the runtime's own keys by the names of their variables, which no server receives.

    Raises:
        RequestError: a variable is not set, a server would receive a key, or the MCP client is not installed.
    """
    servers: dict[str, McpServer] = {}
    for source in sources:
        servers |= {name: server for name, server in (source or {}).items() if name not in servers}
    found = tuple(
        _resolved(name, server, variables, keys) for name, server in servers.items() if server.enabled
    )
    if found and find_spec("mcp") is None:
        raise RequestError("mcpServers", _INSTALL)
    return found


def from_file(path: Path, field: str, *, inside: Path | None = None) -> dict[str, McpServer]:
    """Return the servers of a file in the form of Claude Code's `.mcp.json`.

    Args:
        path: the file.
        field: the field of the request that names it, for error messages.
        inside: a folder that the file must not lead out of by a symbolic link.

    Raises:
        RequestError: the file cannot be read, or is not of this form.
    """
    try:
        data = read_bounded(path, _MAX_FILE, inside=inside)
        if len(data) > _MAX_FILE:
            raise ValueError(f"larger than {_MAX_FILE} bytes")
        servers = json.loads(data.decode("utf-8-sig"))["mcpServers"]
    except OSError as error:
        reason = error.strerror or error
        raise RequestError(field, f"expected a file that can be read: {path} ({reason})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        expected = 'expected a file with one JSON object, {"mcpServers": {...}}'
        raise RequestError(field, f"{expected}: {path} ({error})") from error
    try:
        return validated(servers)
    except RequestError as error:
        raise RequestError(field, f"{path}: {error}") from error


def validated(servers: Any) -> dict[str, McpServer]:
    """Return the servers of a JSON object, by name. Raises RequestError."""
    try:
        return TypeAdapter(dict[str, McpServer]).validate_python(servers)
    except ValidationError as error:
        raise request_error(error, {}).inside("mcpServers") from error


def _resolved(
    name: str, server: McpServer, variables: Mapping[str, str], keys: Mapping[str, str]
) -> ServerConfig:
    expand = _Expansion(f"mcpServers.{name}", variables, keys)
    given = server.enabled_tools
    return ServerConfig(
        name=name,
        command=tuple(expand("command", [server.command, *server.args])) if server.command else (),
        env={key: expand(f"env.{key}", [value])[0] for key, value in server.env.items()},
        cwd=expand("cwd", [server.cwd])[0] if server.cwd else None,
        url=expand.url(server.url) if server.url else "",
        headers={key: expand(f"headers.{key}", [value])[0] for key, value in server.headers.items()},
        variables=expand.used,
        startup_seconds=server.startup_timeout_sec or STARTUP_SECONDS,
        call_seconds=server.call_seconds,
        required=server.required,
        enabled_tools=None if given is None else frozenset(given),
        disabled_tools=frozenset(server.disabled_tools),
        always_load=server.always_load,
    )


class _Expansion:
    """Fills in variables, and refuses values with a key of the runtime. `used`: the variables that were filled in."""

    def __init__(self, server: str, variables: Mapping[str, str], keys: Mapping[str, str]) -> None:
        self._server, self._variables, self._keys = server, variables, keys
        self.used: dict[str, str] = {}

    def __call__(self, field: str, texts: Collection[str]) -> list[str]:
        values = [_VARIABLE.sub(lambda match: self._value(field, match), text) for text in texts]
        for value in values:
            if "\0" in value:
                raise RequestError(f"{self._server}.{field}", "expected text without NUL characters")
            if holds_secret(value, self._keys.values()):
                expected = "expected a key of the server's own; the runtime's keys are not passed on"
                raise RequestError(f"{self._server}.{field}", expected)
        return values

    def url(self, text: str) -> str:
        """Return the URL with variables filled in. Raises RequestError when it is not an http(s) URL."""
        [url] = self("url", [text])
        if not re.match(r"https?://[^/?#\s]", url):
            raise RequestError(f"{self._server}.url", "expected an http(s) URL with a host")
        return url

    def _value(self, field: str, match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name in self._keys:
            if default is not None:
                return default
            expected = (
                f"${{{name}}} is a key of the runtime, which is not passed on; expected another variable"
            )
            raise RequestError(f"{self._server}.{field}", expected)
        value = self._variables.get(name) or default  # `:-` also replaces an empty value
        if value is None:
            if name in self._variables:
                return ""
            expected = (
                f"expected a variable that is set, or a default as in ${{{name}:-value}}: {name} is not set"
            )
            raise RequestError(f"{self._server}.{field}", expected)
        if name in self._variables:
            self.used[name] = value
        return value
