"""What a run costs on a runner, and what many runs at once cost NATS; see docs/capacity.md.

    python benchmarks/fleet_capacity.py --real 24 --virtual 1000 --queued 20000

`--real` runs are processes with one tool call, which are measured while their tools wait. `--virtual` runs only write
the events of a run, all at once, as one runner would: they measure NATS. `--queued` requests wait in the queue.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import shutil
import socket
import subprocess
import time
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from agent_runtime.fleet.connection import Connection, connected
from agent_runtime.fleet.event_log import EventLog
from agent_runtime.fleet.messages import persistently, publish
from agent_runtime.fleet.names import EVENTS, MESSAGE_ID, RUN_ID, WORK, Queue
from agent_runtime.fleet.nats_options import NatsOptions
from agent_runtime.system.process_tree import descendants
from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment

QUEUE = Queue.parse("pool")
TICKS = os.sysconf("SC_CLK_TCK")


def turn(request: Request) -> Turn:
    """One command that waits for a file, then the end."""
    begun = any(message["role"] == "assistant" for message in request.body["messages"])
    wait = 'echo x >> "$NAME"; until [ -e go ]; do sleep 0.5; done'
    return Turn(text="done") if begun else Turn(calls=[("bash", {"command": wait})])


def cpu(pid: int) -> float:
    """The seconds that a process has used, with those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def pss(pid: int) -> float:
    """The memory of a process in MB, with its share of what it shares; 0 when it has ended."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024


def rss(pid: int) -> float:
    """The resident memory of a process in MB."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS:")) / 1024


async def until_acted(folder: Path, count: int) -> None:
    """Wait until that many runs have begun."""
    while len(list(folder.glob("r*"))) < count:  # noqa: ASYNC110 - other processes write the files
        await asyncio.sleep(0.1)


async def enqueue(connection: Connection, prefix: str, count: int) -> None:
    """Put requests into the queue."""
    limit = asyncio.Semaphore(64)

    async def put(number: int) -> None:
        async with limit:
            body = json.dumps({"prompt": "x", "env": {"NAME": f"r{number}"}}).encode()
            id = f"{prefix}-{number}"
            headers = {MESSAGE_ID: id, RUN_ID: id}
            await persistently(partial(publish, connection, QUEUE, QUEUE.work(), id, body, headers))

    await asyncio.gather(*map(put, range(count)))


async def real(connection: Connection, folder: Path, url: str, count: int) -> None:
    """Measure runs that are processes."""
    work = folder / "work"
    work.mkdir()
    with ModelServer([turn], repeat_last=True) as model:
        folders = ["--workspace", str(work), "--state-dir", str(folder / "state")]
        at = ["--nats", url, "--queue", "pool", "--concurrency", str(count)]
        runner = subprocess.Popen(  # noqa: ASYNC220 - once
            [*COMMAND, "runner", *at, *folders],
            env=environment(model.environ("anthropic"), folder),
            stderr=subprocess.DEVNULL,
        )
        await enqueue(connection, "real", count)
        await until_acted(work, count)
        names = {"runner": [runner.pid], "standby": [], "run": [], "tool": []}
        for process in descendants(runner.pid):
            title = process.command
            kind = "tool" if "agent-runtime" not in title and "agent_runtime" not in title else "run"
            names["standby" if "standby" in title and process.ppid == runner.pid else kind].append(
                process.pid
            )
        for kind, pids in names.items():
            print(f"{kind}: {len(pids)} processes, {sum(map(pss, pids)):.0f} MB together")
        (work / "go").touch()
        while (await connection.js.consumer_info(WORK, QUEUE.durable)).num_ack_pending:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        seconds = cpu(runner.pid)
        runner.terminate()
        runner.wait()
        state = (await connection.js.stream_info(EVENTS)).state
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"runner and its standby: {seconds / count * 1000:.0f} ms of CPU for a run")
        print(f"all processes: {(used.ru_utime + used.ru_stime) / count * 1000:.0f} ms of CPU for a run")
        print(f"events: {state.messages / count:.1f} of a run, {state.bytes / count / 1024:.1f} kB in NATS")


async def virtual(connection: Connection, server: int, count: int) -> None:
    """Measure NATS with the events of many runs at once."""
    line = json.dumps({"type": "thinking", "seq": 0, "ts": "2026-01-01T00:00:00.000Z", "content": "x" * 600})
    events = 14

    async def run(number: int) -> None:
        log = EventLog(connection, QUEUE, f"virtual-{number}", "virtual")
        for seq in range(events):
            await log.append(seq, line.replace('"seq": 0', f'"seq": {seq}').encode())

    before, began = cpu(server), time.monotonic()
    await asyncio.gather(*map(run, range(count)))
    seconds, used = time.monotonic() - began, cpu(server) - before
    total = count * events
    print(
        f"{count} virtual runs at once: {total / seconds:.0f} events/s; NATS {used / total * 1e6:.0f} us of CPU for"
    )
    print(f"  an event, {rss(server):.0f} MB")


async def queued(connection: Connection, server: int, count: int) -> None:
    """Measure NATS with many requests that wait."""
    before, began = rss(server), time.monotonic()
    await enqueue(connection, "queued", count)
    seconds = time.monotonic() - began
    size = (rss(server) - before) * 1024 / count
    print(f"{count} queued requests: {count / seconds:.0f}/s, {size:.2f} kB of NATS each")


async def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--real", 24), ("--virtual", 1000), ("--queued", 20_000)):
        options.add_argument(name, type=int, default=default)
    given = options.parse_args()
    folder = Path(mkdtemp(prefix="fleet-capacity-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = shutil.which("nats-server") or "/usr/sbin/nats-server"
    arguments = ["-js", "-a", "127.0.0.1", "-p", str(port), "-sd", f"{folder}/nats"]
    server = subprocess.Popen([program, *arguments], stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - once
    url = f"nats://127.0.0.1:{port}"
    try:
        async with connected(NatsOptions(url), "capacity", "capacity") as connection:
            await connection.set_up()
            await connection.set_up_queue(QUEUE, 30)
            await real(connection, folder, url, given.real)
            await virtual(connection, server.pid, given.virtual)
            await queued(connection, server.pid, given.queued)
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main())
