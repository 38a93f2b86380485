"""The tools of MCP servers: how they are described to the model, and their calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from anyio import to_thread

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.tool import ToolContext
from agent_runtime.lazy import dataclass
from agent_runtime.mcp.config import CALL_SECONDS, ServerConfig
from agent_runtime.mcp.names import tool_name
from agent_runtime.mcp.schemas import MAX_DESCRIPTION, sendable_schema
from agent_runtime.protocol.text import truncate_middle
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.truncation import OutputStore

if TYPE_CHECKING:
    from mcp_types import CallToolResult, Tool


class OnProgress(Protocol):
    """Takes the progress of a call: how much is done, of how much, and what is being done."""

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        """Report progress."""
        ...


class Caller(Protocol):
    """Calls tools of one server; see servers.ServerLink."""

    async def call(self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress) -> CallToolResult:
        """Call a tool. Raises ToolError when the server cannot be reached or has refused the call."""
        ...


@dataclass(frozen=True)
class McpToolSpec:
    """A tool of a server.

    Attributes:
        name: the name for the model.
        remote_name: the server's own name of the tool.
        parallel: whether it may run concurrently with other calls.
        always_load: never leave it to the provider's tool search.
    """

    name: str
    remote_name: str
    description: str
    parameters: dict[str, Any]
    parallel: bool = True
    always_load: bool = False

    def spec(self, *, deferred: bool) -> ToolSpec:
        """Return the description for the model."""
        return ToolSpec(
            self.name, self.description, self.parameters, deferred=deferred and not self.always_load
        )


def tool_specs(
    tools: Iterable[Tool], server: ServerConfig, slug: str
) -> tuple[tuple[McpToolSpec, ...], dict[str, str]]:
    """Return the tools of a server that can be offered, and for those that cannot the reason, by their names."""
    specs: dict[str, McpToolSpec] = {}
    refused: dict[str, str] = {}
    known: set[str] = set()
    for tool in tools:
        if not server.offers(tool.name) or tool.name in known:
            continue
        known.add(tool.name)
        try:
            parameters = sendable_schema(tool.input_schema)
        except ValueError as error:
            refused[tool.name] = str(error)
            continue
        name = tool_name(slug, tool.name, specs)
        specs[name] = McpToolSpec(
            name=name,
            remote_name=tool.name,
            description=truncate_middle(tool.description or tool.title or tool.name, MAX_DESCRIPTION),
            parameters=parameters,
            parallel=not (tool.annotations and tool.annotations.destructive_hint),
            always_load=server.always_load,
        )
    return tuple(specs.values()), refused


@dataclass(frozen=True)
class McpTool:
    """A tool of a running server.

    Args:
        tool: the tool.
        server: the settings of its server.
        caller: the connection to the server.
        outputs: keeps outputs that are too long for the model.
        deferred: whether the model finds it by the provider's tool search.
    """

    tool: McpToolSpec
    server: ServerConfig
    caller: Caller
    outputs: OutputStore
    deferred: bool

    @property
    def name(self) -> str:
        """The name for the model."""
        return self.tool.name

    @property
    def scans(self) -> bool:
        """True: a server may change files of the workspace."""
        return True

    @property
    def parallel(self) -> bool:
        """Whether it may run concurrently with other calls: unless the server says that it is destructive."""
        return self.tool.parallel

    def spec(self) -> ToolSpec:
        """Return the description for the model."""
        return self.tool.spec(deferred=self.deferred)

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Call the tool within its time limit. Progress is reported as output while the call runs. Raises ToolError."""
        from agent_runtime.mcp.results import tool_output

        seconds = self.server.call_seconds or ctx.tool_timeout or CALL_SECONDS
        last = ""

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            nonlocal last
            share = f"{progress:g}" + (f"/{total:g}" if total else "")
            last = truncate_middle(f"{share} {message or ''}".strip(), 1000)
            if ctx.on_output:
                await ctx.on_output(f"[progress: {last}]\n")

        with anyio.move_on_after(seconds):
            result = await self.caller.call(self.tool.remote_name, input, on_progress)
            convert = partial(
                tool_output, call_id=ctx.call_id, tokens=ctx.output_tokens, outputs=self.outputs
            )
            return await to_thread.run_sync(convert, result, abandon_on_cancel=True)
        known = f" Its last progress: {last}." if last else ""
        text = f"[the server {self.server.name} has not answered within {seconds:g} s.{known}]"
        return ToolOutput.of(text, is_error=True, outcome="timed_out")
