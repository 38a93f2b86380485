"""The tools of MCP servers for a run: of servers that it starts, or in a replay those of the recorded run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.tool import Tool, ToolContext
from agent_runtime.engine.context import RunContext
from agent_runtime.errors import RequestError, ToolError, TranscriptError
from agent_runtime.lazy import dataclass
from agent_runtime.mcp.link import ServerReport
from agent_runtime.mcp.process import LaunchSettings
from agent_runtime.mcp.servers import McpServers
from agent_runtime.mcp.tools import McpTool, McpToolSpec
from agent_runtime.protocol import events
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.transcripts.player import Player
from agent_runtime.transcripts.records import McpServerRecord
from agent_runtime.transcripts.replay_tools import RecordedTool

MOST_LISTED = 30  # tools; with more than that the provider's tool search is used
MOST_OFFERED = 100  # tools where the provider has no tool search: some refuse requests with more than 128
_MAX_INSTRUCTIONS = 2048  # characters of a server's instructions


@dataclass(frozen=True)
class McpToolset:
    """The tools of all servers by name, and what the servers say about their use, for the system prompt."""

    tools: Mapping[str, Tool]
    instructions: str = ""


async def start_servers(ctx: RunContext, settings: ShellSettings) -> McpServers:
    """Return the servers of a run, which are to be run as a background task."""
    launch = LaunchSettings(
        cwd=settings.cwd, env=await settings.environment(), user=settings.user, confine=settings.confine
    )

    async def on_report(report: ServerReport) -> None:
        await ctx.sink.emit(_notice(report))

    return McpServers(ctx.config.mcp_servers, launch, on_report, ctx.stop.scope)


async def toolset(ctx: RunContext, settings: ShellSettings, servers: McpServers) -> McpToolset:
    """Wait for the servers, and return their tools. Raises RequestError when a required server has failed."""
    reports = await servers.ready()
    _keep(ctx, reports)
    for link, report in zip(servers.links, reports, strict=True):
        if report.error and link.server.required:
            field = f"mcpServers.{report.server}"
            raise RequestError(
                field, f"expected a server that can be used, because it is required: {report.error}"
            )
    links = {report.server: link for link, report in zip(servers.links, reports, strict=True)}
    chosen, deferred = await _chosen(ctx, reports)
    tools: dict[str, Tool] = {
        tool.name: McpTool(tool, links[server].server, links[server], settings.logs, deferred)
        for server, tool in chosen
    }
    return McpToolset(tools, _instructions(reports))


async def recorded_toolset(ctx: RunContext, player: Player) -> McpToolset:
    """Return the tools of the recorded servers. No server is started: the outputs come from the transcript.

    Raises TranscriptError when a record is damaged.
    """
    reports = [_report(record) for record in player.transcript.records if isinstance(record, McpServerRecord)]
    for report in reports:
        await ctx.sink.emit(_notice(report))
    _keep(ctx, reports)
    chosen, deferred = await _chosen(ctx, reports)
    tools: dict[str, Tool] = {
        tool.name: RecordedTool(_AbsentTool(tool, deferred), player) for _, tool in chosen
    }
    return McpToolset(tools, _instructions(reports))


@dataclass(frozen=True)
class _AbsentTool:
    """A tool of a server that is not running."""

    tool: McpToolSpec
    deferred: bool
    scans = False

    @property
    def name(self) -> str:
        return self.tool.name

    @property
    def parallel(self) -> bool:
        return self.tool.parallel

    def spec(self) -> ToolSpec:
        return self.tool.spec(deferred=self.deferred)

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        raise ToolError(f"{self.name}: the server is not running in a replay")


async def _chosen(
    ctx: RunContext, reports: Iterable[ServerReport]
) -> tuple[list[tuple[str, McpToolSpec]], bool]:
    """Return the tools to offer with their servers, and whether they are left to the provider's tool search."""
    names = ctx.config.mcp_tools
    found = [
        (report.server, tool)
        for report in reports
        for tool in report.tools
        if not names or any(fnmatchcase(tool.name, name) for name in names)
    ]
    if len(found) <= MOST_OFFERED or ctx.config.endpoints[0].provider_row.tool_search:
        return found, len(found) > MOST_LISTED
    found.sort(key=lambda each: not each[1].always_load)
    message = (
        f"`tools`: {ctx.config.endpoints[0].provider} has no tool search; {MOST_OFFERED} of {len(found)} MCP tools"
        " are offered; choose with `tools` or the servers' `enabledTools`"
    )
    details = {"parameter": "tools", "leftOut": [tool.name for _, tool in found[MOST_OFFERED:]]}
    await ctx.sink.emit(events.NoticeEvent(code="parameter_dropped", message=message, details=details))
    return found[:MOST_OFFERED], False


def _notice(report: ServerReport) -> events.NoticeEvent:
    details: dict[str, Any] = {"server": report.server}
    if report.error:
        message = f"the MCP server {report.server} cannot be used: {report.error}"
        details["error"] = report.error
        return events.NoticeEvent(code="mcp_server_failed", message=message, details=details)
    message = f"the MCP server {report.server} is ready with {len(report.tools)} tools"
    details["tools"] = [tool.name for tool in report.tools]
    if report.refused:
        message += f"; left out: {', '.join(report.refused)}"
        details["refused"] = dict(report.refused)
    return events.NoticeEvent(code="mcp_server_ready", message=message, details=details)


def _keep(ctx: RunContext, reports: Iterable[ServerReport]) -> None:
    """Record the servers in the order in which the model gets their tools."""
    if ctx.recorder:
        for report in reports:
            ctx.recorder.mcp_server(_record(report))


def _record(report: ServerReport) -> dict[str, Any]:
    return asdict(report) | {"tools": tuple(map(asdict, report.tools))}


def _report(record: McpServerRecord) -> ServerReport:
    try:
        tools = TypeAdapter(tuple[McpToolSpec, ...]).validate_python(record.tools)
    except ValidationError as error:
        raise TranscriptError(f"`mcp_server` record of {record.server}: {error}") from error
    return ServerReport(record.server, tools, record.refused, record.instructions, record.error)


def _instructions(reports: Iterable[ServerReport]) -> str:
    """Return the section of the system prompt with the instructions of the servers; empty when there are none."""
    sections = [
        f"## {report.server}\n\n{report.instructions[:_MAX_INSTRUCTIONS]}"
        for report in reports
        if report.instructions and report.tools
    ]
    return "\n\n".join(["# MCP servers", *sections]) if sections else ""
