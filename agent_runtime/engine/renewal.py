"""Gives a fork of a snapshot its own identity: run id, sandbox id, keys, variables of the tools, connections."""

from __future__ import annotations

from collections.abc import Callable

from anyio.to_thread import run_sync

from agent_runtime.engine.context import RunContext
from agent_runtime.engine.mcp_lifecycle import McpLifecycle
from agent_runtime.engine.services import RunServices
from agent_runtime.errors import RequestError
from agent_runtime.output.masking import is_common, named_as_secret
from agent_runtime.protocol.control import Renewal
from agent_runtime.providers.keys import received, secret_names


class RunIdentity:
    """The identity of a run, which a thaw may change.

    Args:
        ctx: the context of the run.
        services: returns the services of the run; None until they are built.
        mcp: the MCP servers of the run.

    Attributes:
        sandbox_id: the present one.
    """

    def __init__(
        self, ctx: RunContext, services: Callable[[], RunServices | None], mcp: McpLifecycle
    ) -> None:
        self._ctx, self._services, self._mcp = ctx, services, mcp
        self.sandbox_id = ctx.config.request.sandbox_id

    async def close_connections(self) -> None:
        """Close the connections to the model and to MCP servers; the next calls make new ones."""
        self._mcp.disconnect()
        if services := self._services():
            await services.connections.aclose()

    async def renew(self, renewal: Renewal) -> str:
        """Use the values that the fork was given. Returns what is wrong with them; empty when nothing is."""
        ctx, problem = self._ctx, ""
        env = dict(renewal.env)
        try:
            env = await run_sync(received, env)
        except RequestError as error:
            problem = str(error)
        secret = secret_names(ctx.config.endpoints)
        keys = {name: value for name, value in env.items() if name in secret}
        variables = {name: value for name, value in env.items() if name not in keys}
        passwords = [value for name, value in variables.items() if named_as_secret(name)]
        ctx.masker.add([*keys.values()], [value for value in passwords if not is_common(value)])
        if renewal.run_id and renewal.run_id != ctx.sink.run_id:
            ctx.sink.run_id = renewal.run_id
            variables["AGENT_RUNTIME_RUN_ID"] = renewal.run_id
        self.sandbox_id = renewal.sandbox_id or self.sandbox_id
        if services := self._services():
            services.tools.settings.set_variables(variables)
            services.connections.rekey(keys)
            if renewal.sandbox_id:
                services.tools.servers.moved(renewal.sandbox_id)
        return problem
