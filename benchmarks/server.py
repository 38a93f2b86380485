"""What the HTTP API costs: `python benchmarks/server.py [RUNS]`. Prints one JSON object.

- `first_event_ms`: from the request to the first event, median of 20, with a standby and without.
- `streams`: 50 runs at once, streamed; 20 of the clients vanish at a random event and come back. `lost`: events that a
  client has not received, or received twice or out of order.
- `readers`: reads of one stream of 2,000 events by 1,000 clients, 100 at a time; events for each second of the server's
  CPU time.
- `subscribers`: 10,000 clients that follow one stream at once: memory of the server for each of them while nothing
  happens, then 20 events; `lost`: events that a client has not received.
- `memory_mb`: of the server, after 50 runs, and after RUNS (1,000) in all.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from agent_runtime.output.event_writer import timestamp
from agent_runtime.server.run_files import RunFiles, RunRecord
from agent_runtime.system.descriptor_limit import raise_descriptor_limit
from agent_runtime.system.processes import Process
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment

STREAMS, VANISHING = 50, 20
READERS, AT_ONCE, EVENTS = 1_000, 100, 2_000
SUBSCRIBERS, LIVE_EVENTS = 10_000, 20


class Served:
    """A running server."""

    def __init__(self, folder: Path, model: ModelServer, *options: str) -> None:
        self.state = folder / "state"
        (folder / "workspace").mkdir(exist_ok=True)
        paths = ["--workspace", str(folder / "workspace"), "--state-dir", str(self.state)]
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", *paths, *options],
            env=environment(model.environ("anthropic"), folder),
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr
        self.url = self.process.stderr.readline().decode().split()[-1]
        threading.Thread(target=self._copy_log, daemon=True).start()

    def _copy_log(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            print(line.decode(errors="replace"), end="", file=sys.stderr)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


@contextmanager
def served(model: ModelServer, *options: str) -> Iterator[Served]:
    """A server on a fresh state directory."""
    with tempfile.TemporaryDirectory() as folder:
        server = Served(Path(folder), model, *options)
        try:
            yield server
        finally:
            server.process.terminate()
            server.process.wait()


def first_event_ms(model: ModelServer, *options: str) -> float:
    """The median time to the first event of a run."""
    with served(model, *options) as server, httpx2.Client(base_url=server.url, timeout=60) as client:
        standby_is_ready = b"standby" if not options else b"serve"
        deadline = time.monotonic() + 30
        while not _has_child(server.process.pid, standby_is_ready) and time.monotonic() < deadline:
            time.sleep(0.1)
        took = []
        for _ in range(20):
            began = time.monotonic()
            with client.stream("POST", "/v1/run", json={"prompt": "go"}) as response:
                for line in response.iter_lines():
                    if line.startswith("event: start"):
                        took.append((time.monotonic() - began) * 1000)
    return round(statistics.median(took), 1)


def _has_child(pid: int, title: bytes) -> bool:
    """Whether a process or a child of it has this title, which a standby sets when it is ready."""
    own = Path(f"/proc/{pid}/cmdline").read_bytes()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = [own, *(Path(f"/proc/{child}/cmdline").read_bytes() for child in children)]
    return any(name.startswith(b"agent-runtime " + title) for name in names)


async def received(client: httpx2.AsyncClient, number: int, choice: random.Random) -> int:
    """The events of one run that a client has not received exactly once and in order."""
    run = f"run{number}"
    seen: list[int] = []
    vanishes = number < VANISHING
    path, method = "/v1/run", "POST"
    body: dict[str, str] | None = {"prompt": "go", "runId": run}
    last: dict[str, Any] = {}
    while last.get("type") != "complete":
        leave_after = choice.randrange(1, 5) if vanishes else -1
        async with client.stream(method, path, json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    last = json.loads(line[6:])
                    seen.append(last["seq"])
                    leave_after -= 1
                    if leave_after == 0:
                        break
        vanishes = False
        path, method, body = f"/v1/runs/{run}/events?after={seen[-1]}", "GET", None
    return len(set(range(last["seq"] + 1)) ^ set(seen)) + sum(a >= b for a, b in pairwise(seen))


async def streams(url: str) -> dict[str, float]:
    """Stream runs at once, while clients vanish and come back."""
    choice = random.Random(1)
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        began = time.monotonic()
        lost = await asyncio.gather(*(received(client, number, choice) for number in range(STREAMS)))
    return {"runs": STREAMS, "lost": sum(lost), "seconds": round(time.monotonic() - began, 1)}


async def readers(server: Served) -> dict[str, float]:
    """Read one stream by many clients, one after the other."""
    folder = server.state / "runs" / "run0"
    lines = (folder / "events.ndjson").read_bytes().splitlines(keepends=True)
    template = json.loads(lines[1]) | {"type": "thinking", "content": "x" * 200, "kind": "text", "turn": 1}
    with (folder / "events.ndjson").open("wb") as file:
        file.write(lines[0])
        for seq in range(1, EVENTS - 1):
            event = json.dumps(template | {"seq": seq}, separators=(",", ":"))
            file.write(event.encode() + b"\n")
        file.write(
            json.dumps(json.loads(lines[-1]) | {"seq": EVENTS - 1}, separators=(",", ":")).encode() + b"\n"
        )
    gate = asyncio.Semaphore(AT_ONCE)
    async with httpx2.AsyncClient(base_url=server.url, timeout=120) as client:

        async def read() -> int:
            async with gate, client.stream("GET", "/v1/runs/run0/events") as response:
                return b"".join([piece async for piece in response.aiter_raw()]).count(b"\nid: ")

        before = server.cpu_seconds()
        counts = await asyncio.gather(*(read() for _ in range(READERS)))
    cpu = server.cpu_seconds() - before
    return {"clients": READERS, "events": sum(counts), "events_per_cpu_second": round(sum(counts) / cpu)}


async def subscribers(server: Served) -> dict[str, float]:
    """Follow one stream by many clients at once."""
    raise_descriptor_limit()
    files = RunFiles(server.state / "runs" / "followed")
    files.folder.mkdir()
    own = Process.own()  # the run lives as long as this process
    files.write_record(
        RunRecord("followed", "t", "a", timestamp(), own.pid, own.start, pid=own.pid, started=own.start)
    )
    files.events.write_bytes(_event("start", 0))
    address = urlsplit(server.url)
    request = f"GET /v1/runs/followed/events HTTP/1.1\r\nhost: {address.netloc}\r\n\r\n".encode()
    before, counts, connected = server.memory_mb(), [0] * SUBSCRIBERS, asyncio.Semaphore(0)
    gate = asyncio.Semaphore(200)

    async def follow(number: int) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(request)
            await reader.readuntil(b"event: start")
        connected.release()
        while b"event: complete" not in (line := await reader.readline()):
            counts[number] += line.startswith(b"id: ")
        writer.close()

    tasks = [asyncio.create_task(follow(number)) for number in range(SUBSCRIBERS)]
    for _ in tasks:
        await connected.acquire()
    idle, cpu, began = server.memory_mb(), server.cpu_seconds(), time.monotonic()
    with files.events.open("ab") as file:
        for seq in range(1, LIVE_EVENTS + 1):
            file.write(_event("complete" if seq == LIVE_EVENTS else "thinking", seq))
            file.flush()
            await asyncio.sleep(0.05)
    await asyncio.gather(*tasks)
    return {
        "clients": SUBSCRIBERS,
        "lost": sum(LIVE_EVENTS - count for count in counts),
        "kb_for_each": round((idle - before) * 1024 / SUBSCRIBERS, 1),
        "seconds": round(time.monotonic() - began, 1),
        "events_per_cpu_second": round(SUBSCRIBERS * LIVE_EVENTS / (server.cpu_seconds() - cpu)),
    }


def _event(kind: str, seq: int) -> bytes:
    head = {"type": kind, "seq": seq, "ts": timestamp(), "runId": "followed", "status": "completed"}
    return json.dumps(head | {"content": "x" * 200}, separators=(",", ":")).encode() + b"\n"


def main(runs: int) -> None:
    """Measure everything, and print it."""
    model = ModelServer([Turn(text="done")], repeat_last=True).start()
    result: dict[str, Any] = {
        "first_event_ms": {
            "standby": first_event_ms(model),
            "no_standby": first_event_ms(model, "--no-standby"),
        }
    }
    with served(model) as server:
        result["streams"] = asyncio.run(streams(server.url))
        memory = {"after_50": server.memory_mb()}
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            for _ in range(runs - STREAMS):
                client.post("/v1/run", json={"prompt": "go", "stream": False}).raise_for_status()
        result["memory_mb"] = memory | {f"after_{runs}": server.memory_mb()}
        result["readers"] = asyncio.run(readers(server))
        result["subscribers"] = asyncio.run(subscribers(server))
    model.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
