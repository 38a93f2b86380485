"""`agent-runtime acp`: the Agent Client Protocol on stdin and stdout, for editors and other clients."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.providers.endpoints import resolve

if TYPE_CHECKING:
    from agent_runtime.acp.agent import Agent

_LINE_LIMIT = 64 << 20  # bytes of a message: images are in it


def acp_command(arguments: argparse.Namespace) -> int:
    """Serve one client until it closes stdin; returns the exit status."""
    try:
        if find_spec("acp") is None:
            raise RequestError("acp", "the protocol is not installed: pip install 'agent-runtime[acp]'")
        hide_keys()
        if arguments.model:
            resolve(arguments.model, os.environ)
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST
    logging.basicConfig(
        stream=sys.stderr, level=logging.CRITICAL, format="%(levelname)s %(name)s: %(message)s"
    )
    return asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> int:
    from acp.connection import Connection
    from acp.task import MessageSender, TaskSupervisor

    from agent_runtime.acp.transport import LineTransport

    reader, writer = await _streams()
    agents: list[Agent] = []

    async def handle(method: str, params: Any, is_notification: bool) -> Any:
        return await agents[0].handle(method, params, is_notification)

    sender = MessageSender(writer, TaskSupervisor(source="agent_runtime.acp"))
    connection = Connection(handle, LineTransport(reader, sender), listening=False)
    agents.append(_agent(connection, arguments))
    serving = asyncio.ensure_future(connection.main_loop())
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        serving.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    with suppress(asyncio.CancelledError, Exception):
        await serving
    await agents[0].aclose()
    with suppress(Exception):
        await connection.close()
    return 128 + received[0] if received else ExitCode.COMPLETED


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the pipes of the client. Whatever is printed from now on goes to stderr."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    incoming, outgoing = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), incoming)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, outgoing)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


def _agent(client: Any, arguments: argparse.Namespace) -> Agent:
    from agent_runtime.acp.agent import Agent
    from agent_runtime.acp.options import initial_values

    values = initial_values(arguments.model, arguments.effort, ask_user=not arguments.no_questions)
    return Agent(
        client,
        state_dir=state_dir(arguments.state_dir, os.environ),
        environ=os.environ,
        values=values,
        request={"agent": arguments.agent} if arguments.agent else {},
        socket=Path(arguments.socket) if arguments.socket else None,
    )
