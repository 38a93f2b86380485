"""The options of the commands that run many requests: `batch`, `runner`, and the part of `serve` about them."""

from __future__ import annotations

import argparse

from agent_runtime.cli import arguments
from agent_runtime.cli.argument_types import amount, count, label, not_negative, seconds
from agent_runtime.cli.nats_options import add_nats_options
from agent_runtime.cli.options import add_option


def runner_options(runner: argparse.ArgumentParser) -> None:
    """Add the options of `runner`."""
    url = "the NATS server; `auto` for that of `serve --nats auto` with the same state directory"
    add_nats_options(runner, required=True, help=url)
    queue = "the queue to take requests from: pool, another name, or device:ID"
    runner.add_argument("--queue", metavar="NAME", required=True, help=queue)
    at_once = "runs at once (default: by cores and free memory)"
    runner.add_argument("--concurrency", metavar="N", type=count, help=at_once)
    runner.add_argument(
        "--label",
        metavar="NAME=VALUE",
        type=label,
        action="append",
        default=[],
        help="something to be known about this runner, beside its host; may be repeated",
    )
    lease = (
        "of a queue that does not exist yet: seconds after which a runner that is silent is taken for dead"
    )
    runner.add_argument("--lease", metavar="SECONDS", type=count, default=30, help=f"{lease} (default 30)")
    drain = "on SIGTERM, time for the runs to end before they are cancelled (default 600)"
    runner.add_argument("--drain", metavar="SECONDS", type=seconds, default=600, help=drain)
    _folder_options(runner)
    cold = "start each run from scratch: slower, but no standby of some 100 MB is kept"
    runner.add_argument("--no-standby", action="store_true", help=cold)


def batch_options(batch: argparse.ArgumentParser) -> None:
    """Add the options of `batch`."""
    batch.add_argument("requests", metavar="REQUESTS.ndjson", help="the requests, one JSON object a line")
    results = "where the `complete` events go; a request with a result there is not run again"
    batch.add_argument(
        "-o",
        "--output",
        metavar="RESULTS.ndjson",
        default="results.ndjson",
        help=f"{results} (default results.ndjson)",
    )
    batch.add_argument(
        "--concurrency",
        metavar="N",
        type=count,
        help="runs at once (default: by cores and free memory; with --nats 256)",
    )
    url = "give the requests to a queue of this NATS server, or of that of `serve --nats auto`"
    add_nats_options(batch, help=url)
    queue = "with --nats: the queue (default pool)"
    batch.add_argument("--queue", metavar="NAME", default="pool", help=queue)
    retries = "runs after a failure that is marked as retryable (default 2)"
    batch.add_argument("--retries", metavar="N", type=not_negative, default=2, help=retries)
    limit = "start no more runs once the results have cost this much"
    batch.add_argument("--limit-cost", metavar="USD", type=amount, help=limit)
    batch.add_argument("--json", action="store_true", help="print the summary as JSON")
    _folder_options(batch)


def serve_options(serve: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    arguments.serve_options(serve)
    url = "the NATS server for runs on other machines, or `auto` to start one on loopback"
    add_nats_options(serve, help=url)
    queue = "give all runs to this queue, such as `pool`, rather than running them here"
    serve.add_argument("--dispatch", metavar="NAME", help=queue)


def _folder_options(command: argparse.ArgumentParser) -> None:
    where = "for requests that name none (default: the current folder)"
    command.add_argument("--workspace", metavar="DIR", help=where)
    add_option(command, "--state-dir")
