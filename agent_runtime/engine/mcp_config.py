"""The MCP servers of a run from all places that may name them, and the secrets in their settings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from agent_runtime.lazy import lazy_pattern
from agent_runtime.mcp import config
from agent_runtime.mcp.config import ServerConfig
from agent_runtime.output.masking import header_secrets, named_as_secret, url_secrets, without_scheme
from agent_runtime.prompting.agent_definitions import Agent
from agent_runtime.protocol.request import Request
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.keys import file_names, secret_names
from agent_runtime.shell.environment import is_key

_OPTION = lazy_pattern(r"-{0,2}([A-Za-z][\w-]*)[=:]\s*(.+)", re.DOTALL)


def mcp_servers(
    request: Request, agent: Agent, workspace: Path, environ: Mapping[str, str], endpoints: Sequence[Endpoint]
) -> tuple[ServerConfig, ...]:
    """Return the servers of `--mcp-config`, the request, the agent, and the workspace, in this order of precedence.

    A workspace is not trusted: servers that its `.mcp.json` or its own agents name are started only with
    `workspaceMcp`. Raises RequestError.
    """
    shared = workspace / config.WORKSPACE_FILE
    trusted = request.workspace_mcp or not agent.path.is_relative_to(workspace)
    sources = [
        config.from_file(Path(request.mcp_config), "mcpConfig") if request.mcp_config else None,
        request.mcp_servers,
        config.validated(agent.mcp_servers) if agent.mcp_servers and trusted else None,
        config.from_file(shared, "workspaceMcp", inside=workspace)
        if request.workspace_mcp and os.path.lexists(shared)
        else None,
    ]
    hidden = secret_names(endpoints) | file_names(endpoints)
    keys = {name: value for name, value in environ.items() if is_key(name, hidden)}
    keys |= {f"model[{index}]": each.api_key for index, each in enumerate(endpoints) if each.api_key}
    return config.configured(sources, {**environ, **request.env}, keys)


def server_secrets(servers: Iterable[ServerConfig]) -> list[str]:
    """Return the secrets in the settings of servers: in variables, headers, arguments and URLs."""
    found: list[str] = []
    for server in servers:
        for name, value in {**server.env, **server.variables}.items():
            found += [value] if named_as_secret(name) else url_secrets({name: value}).values()
        found += header_secrets(server.headers)
        found += _argument_secrets(server.command)
        found += url_secrets({"url": server.url}).values()
        query = parse_qsl(urlsplit(server.url).query)
        found += [value for name, value in query if named_as_secret(name)]
    return [secret for secret in found if secret]


def _argument_secrets(command: Sequence[str]) -> Iterable[str]:
    """Yield the values of options that are named as secrets: `--token VALUE`, `--api-key=VALUE`, `X-Key: VALUE`."""
    previous = ""
    for argument in command:
        if previous.startswith("-") and _is_secret(previous):
            yield argument
        if (option := _OPTION.fullmatch(argument)) and _is_secret(option[1]):
            yield from (option[2], without_scheme(option[2]))
        yield from url_secrets({"argument": argument}).values()
        previous = argument


def _is_secret(option: str) -> bool:
    name = option.lstrip("-").replace("-", "_")
    return named_as_secret(name) or name.lower() in ("authorization", "cookie")
