"""Validates a request against its environment and resolves all defaults, before the first event.

Fast and synchronous.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime import tools
from agent_runtime.agent.limits import CONNECT_SECONDS, Limits
from agent_runtime.engine.model_choice import chosen_models, own_prices_of
from agent_runtime.engine.request_checks import (
    check_confine,
    check_env,
    check_mounts,
    check_output_schema,
    check_tool_user,
    checked_folder,
    dev_url_of,
    workspace_of,
)
from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.prompting.agent_definitions import DEFAULT_AGENT, Agent, agent_directories, find_agent
from agent_runtime.protocol.events import StartEvent
from agent_runtime.protocol.request import Config, Request
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.version import VERSION

if TYPE_CHECKING:
    from agent_runtime.mcp.config import ServerConfig

MCP_PREFIX = "mcp__"  # of the names of tools of MCP servers
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Resolved:
    """The resolved configuration in a transcript; see RunConfig."""

    agent: Agent
    endpoints: tuple[Endpoint, ...]
    tools: tuple[str, ...]
    limits: Limits
    temperature: float | None


@dataclass(frozen=True)
class RunConfig:
    """A request with all defaults resolved."""

    request: Request
    run_id: str
    workspace: Path
    state_dir: Path
    agent: Agent
    endpoints: tuple[Endpoint, ...]  # the first is used, the others are fallbacks
    tools: tuple[str, ...]
    limits: Limits
    temperature: float | None
    dev_url: str | None = None  # template of public addresses
    mcp_servers: tuple[ServerConfig, ...] = ()
    mcp_tools: tuple[str, ...] = ()  # the names of their tools to offer, `*` matches any text; empty for all
    own_prices: dict[str, dict[str, float]] = field(default_factory=dict)  # see providers.prices

    @property
    def run_dir(self) -> Path:
        """The folder for what is too large for the event stream: outputs, diffs, logs."""
        return self.state_dir / "runs" / self.run_id.replace(":", "_")

    @property
    def roots(self) -> list[Path] | None:
        """The folders that tools may write to: the workspace, the mounts, TMPDIR and /tmp; None for no restriction."""
        if not self.request.confine:
            return None
        import tempfile

        mounts = [self.workspace / mount.path for mount in self.request.mounts]
        # many programs use /tmp regardless of TMPDIR: tmux, X, gpg-agent
        return [self.workspace, *mounts, *dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp")))]

    def start_event(self) -> StartEvent:
        """Return the first event of the stream."""
        request = self.request
        return StartEvent(
            runtime_version=VERSION,
            agent=self.agent.slug,
            model=self.endpoints[0].model,
            provider=self.endpoints[0].provider,
            workspace=str(self.workspace),
            tools=self.tools,
            limits=self.limits.as_event(),
            thread_id=request.thread_id,
            sandbox_id=request.sandbox_id,
            rollout_id=request.rollout_id,
            target_device_id=request.target_device_id,
            idempotency_key=request.idempotency_key,
            execution_mode=request.execution_mode,
            metadata=request.metadata,
        )

    def resolved(self) -> dict[str, Any]:
        """Return what a transcript records, so that a replay needs neither this environment nor its keys."""
        # MCP servers are not started by a replay, and may hold secrets
        agent = asdict(self.agent) | {"path": str(self.agent.path), "mcp_servers": None}
        secret: dict[str, Any] = {"api_key": None, "headers": {}, "credentials": {}}
        endpoints = [asdict(endpoint) | secret for endpoint in self.endpoints]
        return {
            "agent": agent,
            "endpoints": endpoints,
            "tools": [*self.tools, *self.mcp_tools],
            "limits": asdict(self.limits),
            "temperature": self.temperature,
        }


def prepare(request: Request, environ: Mapping[str, str], resolved: Resolved | None = None) -> RunConfig:
    """Resolve a request, in a replay with the recorded decisions in `resolved`.

    Raises RequestError, which names the field that is wrong.
    """
    workspace = workspace_of(request, environ)
    check_mounts(request, workspace)
    check_confine(request)
    check_tool_user(request.tool_user)
    check_env(request.env, environ)
    check_output_schema(request.output_schema)
    run_id = request.run_id or new_run_id()
    servers: tuple[ServerConfig, ...] = ()
    if resolved is not None:
        agent, endpoints, names = resolved.agent, resolved.endpoints, resolved.tools
        limits, temperature = resolved.limits, resolved.temperature
        own_prices: dict[str, dict[str, float]] = {}  # the recorded costs are used
    else:
        folder = checked_folder("agentsDir", request.agents_dir)
        checked_folder("skillsDir", request.skills_dir)
        agent = find_agent(request.agent or DEFAULT_AGENT, agent_directories(workspace, folder))
        endpoints = chosen_models(request, agent, environ)
        servers = _mcp_servers(request, agent, workspace, environ, endpoints)
        names = _with_questions(_tools(request.tools, agent, endpoints[0], servers), request.ask_user)
        limits = _limits(request.config, agent)
        own_prices = own_prices_of(limits.max_cost, endpoints, environ)
        temperature = (
            request.config.temperature if request.config.temperature is not None else agent.temperature
        )
    return RunConfig(
        request=request,
        run_id=run_id,
        workspace=workspace,
        state_dir=state_dir(request.state_dir, environ),
        agent=agent,
        endpoints=endpoints,
        tools=tuple(name for name in names if not name.startswith(MCP_PREFIX)),
        mcp_tools=tuple(name for name in names if name.startswith(MCP_PREFIX)),
        limits=limits,
        temperature=temperature,
        dev_url=dev_url_of(request, environ),
        mcp_servers=servers,
        own_prices=own_prices,
    )


def new_run_id() -> str:
    """Return a new id: `run_` and a ULID (48 bits of milliseconds, 80 random bits), so that ids sort by time."""
    number = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10))
    return "run_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def state_dir(wanted: str | None, environ: Mapping[str, str]) -> Path:
    """Return the state directory: `wanted`, or that of the environment, or the default of XDG."""
    if named := wanted or environ.get("AGENT_RUNTIME_STATE_DIR"):
        return Path(named).absolute()
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or "/tmp") / ".local" / "state")
    return Path(base).absolute() / "agent-runtime"


def _mcp_servers(
    request: Request, agent: Agent, workspace: Path, environ: Mapping[str, str], endpoints: Sequence[Endpoint]
) -> tuple[ServerConfig, ...]:
    if not (request.mcp_servers or request.mcp_config or request.workspace_mcp or agent.mcp_servers):
        return ()
    from agent_runtime.engine.mcp_config import mcp_servers

    return mcp_servers(request, agent, workspace, environ, endpoints)


def _tools(
    asked: Sequence[str] | None, agent: Agent, endpoint: Endpoint, servers: Sequence[ServerConfig]
) -> tuple[str, ...]:
    wanted = asked if asked is not None else agent.tools
    if wanted is None:
        family = tools.FAMILIES[endpoint.tool_family]
        return tuple(name for name in family if endpoint.format in tools.HOSTED.get(name, (endpoint.format,)))
    known = tools.names()
    for index, name in enumerate(wanted):
        if name not in known and not (servers and name.startswith(MCP_PREFIX)):
            field, whose = (f"tools[{index}]", "") if asked is not None else ("agent", f"{agent.path}: ")
            raise RequestError(field, f"{whose}there is no tool {name!r}; expected one of {', '.join(known)}")
    return tuple(dict.fromkeys(wanted))


def _with_questions(names: tuple[str, ...], wanted: bool) -> tuple[str, ...]:
    """The tools, with the one that asks the user only if questions are wanted: an agent may always list it."""
    others = tuple(name for name in names if name != tools.ASK_USER)
    return (*others, tools.ASK_USER) if wanted else others


def _limits(config: Config, agent: Agent) -> Limits:
    default = Limits()
    no_progress = config.model_timeout or default.model_timeout

    def first(*values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    return Limits(
        max_turns=first(config.max_turns, agent.max_turns, default.max_turns),
        max_tokens=first(config.max_tokens, agent.max_tokens),
        max_total_tokens=config.max_total_tokens,
        max_cost=config.max_cost,
        timeout=config.timeout,
        tool_timeout=config.tool_timeout,
        tool_output_tokens=first(config.tool_output_tokens, default.tool_output_tokens),
        max_retries=first(config.max_retries, default.max_retries),
        model_timeout=no_progress,
        connect_timeout=first(config.connect_timeout, min(CONNECT_SECONDS, no_progress)),
        first_token_timeout=first(config.first_token_timeout, no_progress),
        between_tokens_timeout=first(config.between_tokens_timeout, no_progress),
    )
