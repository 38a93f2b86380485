"""A client of the Agent Client Protocol: the one of the official package, which checks every message by its schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from acp import schema, spawn_agent_process
from acp.client.connection import ClientSideConnection

from agent_runtime.testing.model_server import ModelServer, Scripted
from agent_runtime.testing.runtime import COMMAND, environment

Json = dict[str, Any]


class Editor:
    """What the client was sent, and how it answers.

    Attributes:
        updates: the updates of all sessions, in order.
        permissions: the requests for permission.
        choose: picks the index of an option; None cancels.
    """

    def __init__(self) -> None:
        self.updates: list[Json] = []
        self.permissions: list[Json] = []
        self.forms: list[Json] = []
        self.choose: Callable[[Sequence[Any]], int | None] = lambda options: 0
        self.form: Json = {"action": "accept", "content": {"answer": "blue"}}
        self.changed = asyncio.Condition()
        self.agent: ClientSideConnection

    def on_connect(self, conn: Any) -> None:
        pass

    async def session_update(self, session_id: str, update: Any, **kwargs: Any) -> None:
        # without waiting for the lock: the answer of the request that follows may be looked at next
        self.updates.append(update.model_dump(mode="json", by_alias=True, exclude_none=True))
        async with self.changed:
            self.changed.notify_all()

    async def request_permission(self, options: Any, session_id: str, tool_call: Any, **kwargs: Any) -> Any:
        self.permissions.append(tool_call.model_dump(mode="json", by_alias=True, exclude_none=True))
        chosen = self.choose(options)
        outcome = (
            {"outcome": "cancelled"}
            if chosen is None
            else {"outcome": "selected", "optionId": options[chosen].option_id}
        )
        return schema.RequestPermissionResponse.model_validate({"outcome": outcome})

    async def create_elicitation(self, message: str, mode: Any, **kwargs: Any) -> Any:
        self.forms.append({"message": message})
        return schema.AcceptElicitationResponse.model_validate(self.form)

    # -- the agent --------------------------------------------------------------------------------------------

    async def initialize(self, *, forms: bool = False) -> schema.InitializeResponse:
        capabilities: Json = {"elicitation": {"form": {}}} if forms else {}
        return await self.agent.initialize(
            protocol_version=1, client_capabilities=schema.ClientCapabilities.model_validate(capabilities)
        )

    async def new(self, cwd: Path, **more: Any) -> str:
        return (await self.agent.new_session(cwd=str(cwd), mcp_servers=[], **more)).session_id

    async def prompt(self, session: str, *blocks: Any) -> schema.PromptResponse:
        texts = [schema.TextContentBlock(type="text", text=b) if isinstance(b, str) else b for b in blocks]
        return await self.agent.prompt(session_id=session, prompt=texts)

    async def wait_for(self, condition: Callable[[Json], object]) -> Json:
        async with self.changed:
            await self.changed.wait_for(lambda: any(condition(update) for update in self.updates))
        return next(update for update in self.updates if condition(update))

    def of_kind(self, kind: str) -> list[Json]:
        return [update for update in self.updates if update["sessionUpdate"] == kind]

    def text(self, kind: str = "agent_message_chunk") -> str:
        return "".join(update["content"].get("text", "") for update in self.of_kind(kind))

    def call(self, id: str) -> Json:
        """The state of a tool call: its fields as they were last updated."""
        found: Json = {}
        for update in self.updates:
            if update.get("toolCallId") == id:
                found |= update
        return found


@asynccontextmanager
async def editor(
    server: ModelServer, state: Path, *options: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[Editor]:
    """The program as an agent, and its client; `state` is its state directory."""
    client = Editor()
    environ = environment(server.environ("anthropic"), state) | dict(env or {})
    async with spawn_agent_process(
        cast("Any", client),  # it has no files and no terminals for the agent
        *COMMAND,
        "acp",
        *options,
        env=environ,
        use_unstable_protocol=True,
        transport_kwargs={"limit": 16 << 20},
    ) as (connection, _):
        client.agent = connection
        yield client


Scenario = Callable[[Editor], Awaitable[None]]


def drive(script: list[Scripted], state: Path, scenario: Scenario, *options: str) -> ModelServer:
    """Run a scenario against the program; returns the model server, which knows the requests."""

    async def run() -> None:
        async with asyncio.timeout(170), editor(server, state, *options) as client:
            await scenario(client)

    with ModelServer(script) as server:
        asyncio.run(run())
        assert server.violations == []
    return server
