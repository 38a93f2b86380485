"""Many short runs over two servers, two runners and NATS, each of which is killed at random.

    python benchmarks/fleet_soak.py --runs 2000

Checked at the end: each request has exactly one `complete`, each event is there once and in order, and no run has
acted twice. Printed: the rate, and that of the same runs in a local batch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx2
import nats.errors

from agent_runtime.errors import RequestError
from agent_runtime.fleet.connection import connected
from agent_runtime.fleet.names import EVENTS, MESSAGE_ID, WORK, Queue
from agent_runtime.fleet.nats_options import NatsOptions
from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment

LEASE = 5  # seconds
SERVERS = RUNNERS = 2


def turn(request: Request) -> Turn:
    """One command, then the end. A run that is executed again sees the turn of the first attempt on its thread."""
    content = request.body["messages"][-1]["content"]
    has_acted = isinstance(content, list) and content[-1]["type"] == "tool_result"
    return Turn(text="done") if has_acted else Turn(calls=[("bash", {"command": 'echo x >> "$NAME"'})])


class Soak:
    """All processes of a soak.

    Args:
        folder: for everything.
        runs: the number of requests.
    """

    def __init__(self, folder: Path, runs: int) -> None:
        self.folder, self.runs = folder, runs
        (folder / "acted").mkdir()
        self.model = ModelServer([turn], repeat_last=True).start()
        self.nats_port, *self.ports = [_free_port() for _ in range(1 + SERVERS)]
        self.url = f"nats://127.0.0.1:{self.nats_port}"
        self.log = (folder / "log.txt").open("wb")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: Counter[str] = Counter()
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{self.nats_port}"\njetstream {{ store_dir: "{folder}/nats" }}\n'
        )

    def start(self, name: str) -> None:
        """Start a process, again if it was killed."""
        kind, _, number = name.partition(" ")
        if kind == "nats":
            program = shutil.which("nats-server") or "/usr/sbin/nats-server"
            command = [program, "-c", str(self.folder / "nats.conf")]
        elif kind == "runner":
            folders = ["--workspace", str(self.folder / "acted"), "--state-dir", f"{self.folder}/{name}"]
            at = ["--nats", self.url, "--queue", "pool", "--lease", str(LEASE)]
            command = [*COMMAND, "runner", *at, "--concurrency", "8", *folders]
        else:
            at = ["--port", str(self.ports[int(number)]), "--nats", self.url, "--dispatch", "pool"]
            command = [*COMMAND, "serve", *at, "--no-standby", "--state-dir", f"{self.folder}/{name}"]
        self.processes[name] = subprocess.Popen(
            command,
            env=environment(self.model.environ("anthropic"), self.folder),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    async def keep(self, seed: int, every: float) -> None:
        """Kill a process now and then, and start again what has ended."""
        chance = random.Random(seed)
        while True:
            for _ in range(10):
                await asyncio.sleep(every / 10)
                for name, process in self.processes.items():
                    if process.poll() is not None:
                        self.start(name)
            name = chance.choice(list(self.processes))
            self.kills[name.split()[0]] += 1
            self.processes[name].kill()
            self.processes[name].wait()
            await asyncio.sleep(chance.random())
            self.start(name)

    async def post(self, client: httpx2.AsyncClient, number: int) -> None:
        """Hand in a request, with the same key for as long as no server accepts it."""
        body = {"prompt": "x", "runId": f"run-{number}", "env": {"NAME": f"r{number}"}, "stream": True}
        for attempt in range(1_000):
            port = self.ports[(number + attempt) % SERVERS]
            try:
                request = client.stream(
                    "POST",
                    f"http://127.0.0.1:{port}/v1/run",
                    json=body,
                    headers={"Idempotency-Key": f"key-{number}"},
                )
                async with request as response:
                    if response.status_code == 200:
                        return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.2)
        raise AssertionError(f"run-{number} was not accepted")

    async def left(self) -> int:
        """The number of requests that are not finished; -1 while NATS is not there."""
        try:
            async with connected(NatsOptions(self.url), "soak", "soak") as connection:
                info = await connection.js.consumer_info(WORK, "pool")
                return int(info.num_pending or 0) + int(info.num_ack_pending or 0)
        except (RequestError, nats.errors.Error):
            return -1

    async def events(self) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """The events of each run in the order of the stream, with their message ids."""
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        async with connected(NatsOptions(self.url), "soak", "soak") as connection:
            last = (await connection.js.stream_info(EVENTS)).state.last_seq
            subscription = await connection.js.subscribe(
                Queue.parse("pool").events("x").rpartition(".")[0] + ".>", ordered_consumer=True
            )
            position = 0
            while position < last:
                message = await subscription.next_msg(10)
                position = message.metadata.sequence.stream
                event = json.loads(message.data)
                id = (message.headers or {})[MESSAGE_ID]
                found.setdefault(event["runId"], []).append((id, event))
        return found

    def end(self) -> None:
        """Kill everything."""
        for process in self.processes.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.model.close()
        self.log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def soak(all: Soak, seed: int, every: float) -> float:
    """Run everything; returns the seconds that it took."""
    for name in ["nats", *(f"runner {n}" for n in range(RUNNERS)), *(f"serve {n}" for n in range(SERVERS))]:
        all.start(name)
        await asyncio.sleep(0.5)
    began = time.monotonic()
    keeping = asyncio.create_task(all.keep(seed, every))
    limit = asyncio.Semaphore(32)
    async with httpx2.AsyncClient(timeout=30) as client, asyncio.TaskGroup() as group:

        async def bounded(number: int) -> None:
            async with limit:
                await all.post(client, number)

        for number in range(all.runs):
            group.create_task(bounded(number))
    print(f"accepted after {time.monotonic() - began:.0f} s", flush=True)
    while await all.left():  # noqa: ASYNC110
        await asyncio.sleep(1)
    seconds = time.monotonic() - began
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    for name, process in all.processes.items():
        if process.poll() is not None:
            all.start(name)
    while await all.left():  # noqa: ASYNC110 - NATS may have forgotten acknowledgements
        await asyncio.sleep(1)
    return seconds


def check(all: Soak, events: dict[str, list[tuple[str, dict[str, Any]]]]) -> Counter[str]:
    """Check what is promised; returns the number of runs by status. Raises AssertionError."""
    statuses: Counter[str] = Counter()
    for number in range(all.runs):
        run = f"run-{number}"
        stream = events[run]
        assert [event["seq"] for _, event in stream] == list(range(len(stream))), run
        assert [id for id, _ in stream] == [f"{run}:{seq}" for seq in range(len(stream))], run
        kinds = [event["type"] for _, event in stream]
        assert kinds[-1] == "complete" and kinds.count("complete") == 1, (run, kinds)
        path = all.folder / "acted" / f"r{number}"
        acted = path.read_text() if path.exists() else ""
        status = stream[-1][1]["status"]
        assert acted in ("", "x\n"), (run, acted)
        assert acted == "x\n" or status == "failed", (run, status)
        statuses[status] += 1
    return statuses


def local(folder: Path, runs: int) -> float:
    """The seconds that the same runs take in a local batch."""
    (folder / "local").mkdir()
    rows = [{"prompt": "x", "env": {"NAME": f"r{n}"}} for n in range(runs)]
    (folder / "local.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with ModelServer([turn], repeat_last=True) as model:
        paths = [
            "--workspace",
            f"{folder}/local",
            "--state-dir",
            f"{folder}/local-state",
            "-o",
            f"{folder}/results",
        ]
        done = subprocess.run(
            [*COMMAND, "batch", f"{folder}/local.ndjson", "--concurrency", "16", "--json", *paths],
            env=environment(model.environ("anthropic"), folder),
            capture_output=True,
            check=True,
        )
    return float(json.loads(done.stdout)["seconds"])


def main() -> None:
    """Run the soak, check it, and print what it has come to."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--every", type=float, default=5.0, help="seconds between two kills")
    options.add_argument("--local", type=int, default=200, help="runs of the local batch to compare with")
    given = options.parse_args()
    folder = Path(mkdtemp(prefix="fleet-soak-"))
    all = Soak(folder, given.runs)
    try:
        seconds = asyncio.run(soak(all, given.seed, given.every))
        statuses = check(all, asyncio.run(all.events()))
    finally:
        all.end()
    rate = given.runs / seconds
    print(
        f"{given.runs} runs in {seconds:.0f} s ({rate:.1f}/s): {dict(statuses)}; kills: {dict(all.kills)}",
        flush=True,
    )
    if given.local:
        print(f"local batch: {given.local / local(folder, given.local):.1f}/s")
    stuck = re.findall(r"Traceback", (folder / "log.txt").read_text(errors="replace"))
    print(f"{len(stuck)} tracebacks in {folder}/log.txt" if stuck else "no tracebacks")
    if not stuck:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
