from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.runtime import COMMAND, check, environment

Json = dict[str, Any]


class Client:
    """A client of the standby as the README has it: a line in, events out."""

    def __init__(self, path: Path, request: Json) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.say(request)
        self._lines = self.socket.makefile("rb")
        self._read: list[Json] = []

    def say(self, message: Json) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def event(self) -> Json:
        event: Json = json.loads(self._lines.readline())
        self._read.append(event)
        return event

    def until(self, kind: str, **fields: Any) -> Json:
        """The next event of that type that has these fields."""
        wanted = {"type": kind} | fields
        while not wanted.items() <= (event := self.event()).items():
            pass
        return event

    def events(self, code: int = 0) -> list[Json]:
        """All the events of the run up to its end, checked against the promises for a run with that exit status."""
        events = [*self._read, *(json.loads(line) for line in self._lines)]
        self.close()
        check(events, code)
        return events

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


class Running:
    """A standby process."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self.process, self.path, self.pid = process, path, process.pid

    def run(self, request: Json) -> Client:
        return Client(self.path, request)

    def children(self) -> list[int]:
        """Zombies too."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def descriptors(self) -> int | None:
        """None where only root may look: the process is not dumpable."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208
        except PermissionError:
            return None


@contextmanager
def standing(
    folder: Path, environ: Mapping[str, str] | None = None, pass_fds: Collection[int] = ()
) -> Iterator[Running]:
    """A standby, ready when the context begins."""
    path = folder / "standby.sock"
    process = subprocess.Popen(
        [*COMMAND, "standby", "--socket", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment({"WHOSE": "the standby's", **(environ or {})}, folder / "state"),
        cwd=folder,
        pass_fds=pass_fds,
    )
    assert process.stderr
    try:
        assert b"standing by" in process.stderr.readline()
        yield Running(process, path)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stderr.close()


@pytest.fixture(scope="session")
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests: warming up takes a while, and runs are apart from each other anyway."""
    with standing(tmp_path_factory.mktemp("standby")) as running:
        yield running


def asked(server: ModelServer, **fields: Any) -> Json:
    """A request to the scripted model."""
    model = {"provider": "custom", "endpoint": server.url, "apiKey": "k", "format": "anthropic", "name": "m"}
    return {"prompt": "hi", "model": model} | fields
