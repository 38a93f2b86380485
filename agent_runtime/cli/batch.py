"""`agent-runtime batch`: run a file of requests, many at once."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.cli.nats_options import nats_options
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.fleet.batch import Batch, default_concurrency
from agent_runtime.fleet.batch_files import Results
from agent_runtime.fleet.batch_runs import LocalRuns, RunSource, named_requests
from agent_runtime.fleet.names import Queue
from agent_runtime.fleet.nats_options import AUTO
from agent_runtime.fleet.own_server import stored_url
from agent_runtime.fleet.progress import Progress, as_json, as_table
from agent_runtime.server.follow import Follower
from agent_runtime.server.launch import Launcher
from agent_runtime.server.runs import Runs
from agent_runtime.system.file_watch import FileWatch

_WARM_UP = 30.0  # seconds
_QUEUED = 256  # requests that are in the queue or being executed at once
_WORTH_A_STANDBY = 8  # requests; warming up takes as long as starting some runs from scratch


def batch_command(arguments: argparse.Namespace) -> int:
    """Run the batch and print its summary; returns the exit status."""
    try:
        hide_keys()
        return asyncio.run(_batch(arguments))
    except RequestError as error:
        print(f"agent-runtime: {error}", file=sys.stderr)
        return ExitCode.INVALID_REQUEST


async def _batch(arguments: argparse.Namespace) -> int:
    where = state_dir(arguments.state_dir, os.environ)
    if arguments.nats is None:
        async with _local(arguments, where) as (runs, warm_up):
            return await _work(arguments, runs, warm_up, arguments.concurrency or default_concurrency())
    options = nats_options(arguments)
    queue = Queue.parse(arguments.queue)
    from agent_runtime.fleet.dispatch import dispatching
    from agent_runtime.fleet.queued_runs import QueuedRuns

    if options.url == AUTO:
        options = replace(options, url=stored_url(where))
    async with dispatching(options, queue, where) as dispatch:
        return await _work(arguments, QueuedRuns(dispatch, queue), None, arguments.concurrency or _QUEUED)


@asynccontextmanager
async def _local(
    arguments: argparse.Namespace, where: Path
) -> AsyncIterator[tuple[RunSource, Callable[[], None]]]:
    """Yield the runs on this machine, and a function that warms up their standby."""
    watch = FileWatch()
    launcher = Launcher({**os.environ, "AGENT_RUNTIME_STATE_DIR": str(where)})
    workspace = Path(arguments.workspace or os.environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()

    def warm_up() -> None:
        launcher.warm_up()
        launcher.wait(_WARM_UP)

    try:
        yield LocalRuns(Runs(where, workspace, launcher, Follower(watch))), warm_up
    finally:
        await asyncio.to_thread(launcher.close)
        watch.close()


async def _work(
    arguments: argparse.Namespace, runs: RunSource, warm_up: Callable[[], None] | None, concurrency: int
) -> int:
    target = Path(arguments.output)
    requests = await named_requests(Path(arguments.requests), target, runs)
    results = Results(target)
    batch = Batch(
        runs,
        requests,
        results,
        concurrency=concurrency,
        retries=arguments.retries,
        limit_cost=arguments.limit_cost,
        changed=lambda: progress.changed(),
    )
    progress = Progress(batch.tally, sys.stderr)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, batch.stop)
    try:
        if warm_up and batch.tally.total - batch.tally.done >= _WORTH_A_STANDBY:
            await asyncio.to_thread(warm_up)
        await batch.work()
    finally:
        progress.end()
        results.close()
    return _summary(arguments, batch, progress)


def _summary(arguments: argparse.Namespace, batch: Batch, progress: Progress) -> int:
    tally = batch.tally
    if arguments.json:
        print(json.dumps(as_json(tally, progress.seconds), indent=2))
    else:
        print(as_table(tally, progress.seconds))
    if tally.done == tally.total:
        completed = tally.statuses["completed"] == tally.total
        return ExitCode.COMPLETED if completed else ExitCode.FAILED
    if batch.stopped:
        print("agent-runtime: stopped; the same command continues the batch", file=sys.stderr)
        return ExitCode.SIGINT
    print(
        f"agent-runtime: --limit-cost: ${tally.cost:.4f} of ${arguments.limit_cost:g} are spent; the same command"
        " with a higher limit continues the batch",
        file=sys.stderr,
    )
    return ExitCode.LIMIT
