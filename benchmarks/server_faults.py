"""Kill servers, runs and clients at random moments: `python benchmarks/server_faults.py [MOMENTS] [SEED]`.

Eight clients send requests with idempotency keys, one after the other, and send a request again until they have its
result. Meanwhile, at each moment, a process is killed: the server (which is started again), its standby, or a run; or
the connections of all clients are cut; or the disk of the state directory is full for half a second (as root only:
a file system is mounted for it). In the end every accepted run must have one `complete`, as its last event, after a
`seq` without gaps; a run that was not killed must have completed; and no run may have executed its command twice.
Prints one JSON object; exits 1 on a violation.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import ModelServer, Request, Turn
from agent_runtime.testing.runtime import COMMAND, environment

CLIENTS = 8
COMMAND_OF_RUN = 'echo x >> "$RUN"; sleep 0.2'


class Site:
    """A server on a fixed port that can be killed and started again, and what its clients have received."""

    def __init__(self, folder: Path, model: ModelServer) -> None:
        self.folder, self._model = folder, model
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.stopping = threading.Event()
        self.connections: dict[int, socket.socket] = {}
        state = folder / "state"
        state.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(state)]
        self.has_disk = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self.results: dict[str, dict[str, Any]] = {}
        self.start(0)

    def start(self, port: int) -> None:
        paths = ["--workspace", str(self.workspace), "--state-dir", str(self.folder / "state")]
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), *paths],
            env=environment(self._model.environ("anthropic"), self.folder),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr
        line = self.process.stderr.readline().decode()
        assert "http://" in line, (line, self.process.wait())
        self.url = line.split()[-1]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def restart(self) -> None:
        self.process.kill()
        self.process.wait()
        self.start(int(self.url.rsplit(":", 1)[1]))

    def records(self) -> list[dict[str, Any]]:
        found = []
        for path in (self.folder / "state" / "runs").glob("*/process.json"):
            with suppress(OSError, ValueError):
                found.append(json.loads(path.read_text()))
        return found

    def client(self, number: int) -> None:
        count = 0
        while not self.stopping.is_set():
            count += 1
            self._request(number, f"run{number}x{count}")

    def _request(self, number: int, name: str) -> None:
        body = {"prompt": "go", "runId": name, "stream": False, "env": {"RUN": name}}
        while True:
            try:
                with socket.create_connection(
                    ("127.0.0.1", int(self.url.rsplit(":", 1)[1])), 60
                ) as connection:
                    self.connections[number] = connection
                    status, data = _post(connection, body, name)
            except (OSError, ValueError):
                time.sleep(0.05)  # the server is being started, or the connection was cut
                continue
            if status in (409, 500):  # in progress; the disk is full
                time.sleep(0.05)
                continue
            assert status == 200, data
            self.results[name] = data["data"]
            return

    def fill_disk(self) -> bool:
        """Leave no space in the state directory for half a second; False where it has no disk of its own."""
        if not self.has_disk:
            return False
        ballast = self.folder / "state" / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))
        time.sleep(0.5)
        ballast.unlink()
        return True


def _post(connection: socket.socket, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status and the body of the answer. Raises OSError, ValueError."""
    data = json.dumps(body).encode()
    host = f"127.0.0.1:{connection.getpeername()[1]}"
    fields = {"host": host, "idempotency-key": key, "content-length": len(data), "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connection.sendall(f"POST /v1/run HTTP/1.1\r\n{head}\r\n".encode() + data)
    answer = b""
    while piece := connection.recv(1 << 16):
        answer += piece
    status, end, rest = answer.partition(b"\r\n\r\n")
    if not end:
        raise ConnectionError("the connection was cut")
    return int(status.split()[1]), json.loads(rest)


def kill_something(site: Site, choice: random.Random, killed: set[str]) -> str:
    """Kill a process; returns which kind."""
    kind = choice.choice(("server", "standby", "run", "clients", "disk"))
    if kind == "server":
        site.restart()
    elif kind == "clients":
        for connection in list(site.connections.values()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
    elif kind == "disk":
        # what was running may have failed then
        ended = set(site.results)
        if site.fill_disk():
            time.sleep(0.2)
            killed |= {row["run_id"] for row in site.records()} - ended
    else:
        running = [row for row in site.records() if row["pid"] and row["run_id"] not in site.results]
        if running:
            row = choice.choice(running)
            killed.add(row["run_id"])
            with suppress(ProcessLookupError):
                os.kill(row["pid"], signal.SIGKILL)
    return kind


def violations(site: Site, killed: set[str]) -> list[str]:
    """What was promised and did not hold."""
    found = []
    for row in site.records():
        name = row["run_id"]
        lines = (site.folder / "state" / "runs" / name / "events.ndjson").read_bytes().splitlines()
        events = [json.loads(line) for line in lines]
        kinds = [event["type"] for event in events]
        if [event["seq"] for event in events] != list(range(len(events))):
            found.append(f"{name}: its numbers have gaps")
        if kinds.count("complete") != 1 or kinds[-1] != "complete":
            found.append(f"{name}: {kinds.count('complete')} complete")
        elif name not in killed and kinds[0] == "start" and events[-1]["status"] != "completed":
            # without `start`, its server was killed before it had handed over the request
            found.append(f"{name}: {events[-1]['status']} without being killed: {events[-1].get('error')}")
        marks = site.workspace / name
        if marks.exists() and marks.read_text().count("x") > 1:
            found.append(f"{name}: executed {marks.read_text().count('x')} times")
        if name not in site.results:
            found.append(f"{name}: no client has its result")
    return found


def main(moments: int, seed: int) -> int:
    """Run the whole; returns the exit status."""
    choice = random.Random(seed)
    model = ModelServer(_model, repeat_last=True).start()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), model)
        clients = [threading.Thread(target=site.client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        kinds: Counter[str] = Counter()
        killed: set[str] = set()
        for _ in range(moments):
            time.sleep(choice.uniform(0.1, 1.5))
            kinds[kill_something(site, choice, killed)] += 1
        site.stopping.set()
        for client in clients:
            client.join()
        time.sleep(8)  # a server looks for runs without an end every 5 seconds
        wrong = violations(site, killed)
        statuses = Counter(result["status"] for result in site.results.values())
        site.process.terminate()
        site.process.wait()
        if site.has_disk:
            subprocess.run(["umount", "--lazy", str(site.folder / "state")], check=False)
    model.close()
    print(json.dumps({"seed": seed, "killed": kinds, "runs": statuses, "violations": wrong}, indent=2))
    return bool(wrong)


def _turn(request: Request) -> Turn:
    """A command at first, and the end when its result is there."""
    if any(message["role"] == "assistant" for message in request.body["messages"]):
        return Turn(text="done")
    return Turn(calls=[("bash", {"command": COMMAND_OF_RUN})])


_model = [_turn]


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(given + [200, 1][len(given) :])))
