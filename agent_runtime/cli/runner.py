"""`agent-runtime runner`: execute the requests of a queue in NATS."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import signal
import sys
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.cli.nats_options import nats_options
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.fleet.names import Queue
from agent_runtime.fleet.nats_options import AUTO, NatsOptions
from agent_runtime.fleet.own_server import stored_url
from agent_runtime.server.launch import Launcher
from agent_runtime.system.process_title import set_title
from agent_runtime.version import VERSION

if TYPE_CHECKING:
    from agent_runtime.fleet.connection import Connection

_WARM_UP = 30.0  # seconds


def runner_command(arguments: argparse.Namespace) -> int:
    """Work until SIGTERM or SIGINT, then let the runs end; returns the exit status."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        hide_keys()
        options = nats_options(arguments)
        if options.url == AUTO:
            url = stored_url(state_dir(arguments.state_dir, os.environ))
            options = replace(options, url=url)

        queue = Queue.parse(arguments.queue)
        set_title("agent-runtime runner")  # the command line may hold a password
        return asyncio.run(_runner(arguments, options, queue))
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST


async def _runner(arguments: argparse.Namespace, options: NatsOptions, queue: Queue) -> int:
    from agent_runtime.fleet.connection import connected

    where = state_dir(arguments.state_dir, os.environ)
    launcher = Launcher({**os.environ, "AGENT_RUNTIME_STATE_DIR": str(where)})
    try:
        if not arguments.no_standby:
            launcher.warm_up()
            await asyncio.to_thread(launcher.wait, _WARM_UP)
        async with connected(options, f"runner {queue.name}", queue.durable) as connection:
            return await _work(arguments, connection, queue, launcher)
    finally:
        await asyncio.to_thread(launcher.close)


async def _work(
    arguments: argparse.Namespace, connection: Connection, queue: Queue, launcher: Launcher
) -> int:
    from agent_runtime.fleet.attempt import RunnerContext
    from agent_runtime.fleet.batch import default_concurrency
    from agent_runtime.fleet.presence import Presence
    from agent_runtime.fleet.runner import Runner

    concurrency = arguments.concurrency or default_concurrency()
    workspace = Path(arguments.workspace or os.environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()
    name = f"{platform.node()}-{os.getpid()}-{token_hex(3)}"
    known: dict[str, Any] = {
        "host": platform.node(),
        "version": VERSION,
        "concurrency": concurrency,
        "labels": dict(arguments.label),
    }
    context = RunnerContext(
        connection=connection,
        queue=queue,
        launcher=launcher,
        lease=await connection.set_up_queue(queue, arguments.lease),
        defaults={"workspace": str(workspace)},
    )
    runner = Runner(context, Presence(connection, queue, name, known), concurrency=concurrency)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, runner.drain)
    print(
        f"runner {name} takes requests from {queue.name}, {concurrency} at once", file=sys.stderr, flush=True
    )
    if await runner.work(arguments.drain):
        return ExitCode.COMPLETED
    print("agent-runtime: the NATS server does not accept this runner any more", file=sys.stderr)
    return ExitCode.FAILED
