"""`agent-runtime batch`: run a file of requests, many at once."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from agent_runtime.cli.hide_keys import hide_keys
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.fleet.batch import Batch, LocalRuns, default_concurrency
from agent_runtime.fleet.batch_files import Results, batch_name, read_requests
from agent_runtime.fleet.progress import Progress, as_json, as_table
from agent_runtime.server.follow import Follower
from agent_runtime.server.launch import Launcher
from agent_runtime.server.runs import Runs
from agent_runtime.system.file_watch import FileWatch

_WARM_UP = 30.0  # seconds
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
    source, target = Path(arguments.requests), Path(arguments.output)
    requests = read_requests(source, batch_name(target, source, where / "runs"))
    results = Results(target)
    watch = FileWatch()
    launcher = Launcher({**os.environ, "AGENT_RUNTIME_STATE_DIR": str(where)})
    workspace = Path(arguments.workspace or os.environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()
    batch = Batch(
        LocalRuns(Runs(where, workspace, launcher, Follower(watch))),
        requests,
        results,
        concurrency=arguments.concurrency or default_concurrency(),
        retries=arguments.retries,
        limit_cost=arguments.limit_cost,
        changed=lambda: progress.changed(),
    )
    progress = Progress(batch.tally, sys.stderr)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, batch.stop)
    try:
        if batch.tally.total - batch.tally.done >= _WORTH_A_STANDBY:
            launcher.warm_up()
            await asyncio.to_thread(launcher.wait, _WARM_UP)
        await batch.work()
    finally:
        progress.end()
        results.close()
        await asyncio.to_thread(launcher.close)
        watch.close()
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
