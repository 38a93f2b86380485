"""Our server beside those of other agents, in one run: `python benchmarks/server_peers.py [--peer NAME=PROGRAM ...]`.

NAME is `opencode`, with its path, or `openhands`, with a Python that has openhands-agent-server. The model answers each
request with one word. Prints one JSON object; for each server:

- `first_event_ms`, `done_ms`: from the request to the first event and to the last one of a task, medians. Ours starts a
  process for each task; the others run all in their own.
- `task_cpu_ms`: CPU time of a task, of the server and its processes, with one client that follows it.
- `events_per_core_second`: events that further clients (FOLLOWERS in all) receive, for each further second of CPU time.
- `idle_stream_kb`: what one of STREAMS clients adds to the memory (PSS) of the server while nothing happens.
- `idle_mb`: its memory before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agent_servers import AgentServer, Followed
from peer_servers import OWN, SERVERS

_USAGE = {"input_tokens": 10, "output_tokens": 1}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "stop_reason": None,
    "usage": _USAGE,
}
_MESSAGES: list[dict[str, Any]] = [
    {"type": "message_start", "message": _MESSAGE | {"content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "done"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}
_CHAT = {
    "id": "chat_1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [_CHOICE],
    "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
}


class Model(BaseHTTPRequestHandler):
    """Answers `done`, in the format of the path; never, when the last message is `wait`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if b'"text":"wait"' in body.replace(b" ", b""):
            threading.Event().wait()
        if self.path.partition("?")[0].endswith("/messages"):
            data = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in _MESSAGES)
            kind = "text/event-stream"
        else:
            data, kind = json.dumps(_CHAT), "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data.encode())

    def log_message(self, format: str, *values: Any) -> None:
        """Log nothing."""


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from _tree(int(child))


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its descendants, those that have ended included."""
    used = 0
    for each in _tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            used += sum(map(int, fields[11:15]))
    return used / os.sysconf("SC_CLK_TCK")


def memory_kb(pid: int) -> int:
    """The PSS of a process and its descendants."""
    total = 0
    for each in _tree(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


async def several(server: AgentServer, tasks: int, followers: int) -> tuple[list[Followed], float]:
    """Run tasks one after the other; returns them, and the CPU seconds that they took."""
    before = cpu_seconds(server.process.pid)
    done = [await server.task(followers) for _ in range(tasks)]
    await asyncio.sleep(2)  # until processes that have ended are counted
    return done, cpu_seconds(server.process.pid) - before


async def measure(server: AgentServer, tasks: int, followers: int, streams: int) -> dict[str, float]:
    """Measure one server."""
    try:
        await asyncio.wait_for(server.ready(), 120)
        pid = server.process.pid
        await server.task(1)  # what is loaded with the first task
        await asyncio.sleep(10)  # for what is prepared in the background
        alone, cpu_alone = await several(server, tasks, 1)
        followed, cpu_followed = await several(server, tasks, followers)
        events = sum(each.events for each in followed) - sum(each.events for each in alone)
        idle = memory_kb(pid)

        async def memory() -> float:
            await asyncio.sleep(2)
            return memory_kb(pid)

        streams = min(streams, server.most_followers)
        few, many = await server.idle(1, memory), await server.idle(streams + 1, memory)
    finally:
        await server.close()
    return {
        "first_event_ms": round(statistics.median(each.first for each in alone) * 1000, 1),
        "done_ms": round(statistics.median(each.done for each in alone) * 1000, 1),
        "task_cpu_ms": round(cpu_alone / tasks * 1000, 1),
        "events_per_core_second": round(events / max(0.01, cpu_followed - cpu_alone)),
        "events_of_a_task": round(statistics.median(each.events for each in followed) / followers),
        "idle_mb": round(idle / 1024, 1),
        "idle_stream_kb": round((many - few) / streams, 1),
    }


def main() -> None:
    """Measure all servers, and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PROGRAM", help="another server")
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--followers", type=int, default=40, help="clients that follow a task")
    parser.add_argument("--streams", type=int, default=400, help="clients while nothing happens")
    parser.add_argument("-o", "--output", type=Path, help="a file for the result")
    options = parser.parse_args()
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    model.daemon_threads = True
    threading.Thread(target=model.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{model.server_address[1]}"
    result: dict[str, dict[str, float]] = {}
    for name, program in [OWN, *(peer.split("=", 1) for peer in options.peer)]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            server = SERVERS[name](program, Path(folder), url)
            result[name] = asyncio.run(measure(server, options.tasks, options.followers, options.streams))
            print(name, json.dumps(result[name]), file=sys.stderr, flush=True)
    text = json.dumps(result, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
