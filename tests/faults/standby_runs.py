"""Runs in forks of a standby, whose event streams are checked: a case costs a tenth of a launch."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent_runtime.protocol.handover import EXIT, PID, PREAMBLE
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import Json, Result, environment, result
from tests.cli.standby.conftest import Running
from tests.support.waiting import until

KEYS = ("sk-ant-loopback-0123456789", "sk-loopback-0123456789")  # what the model server's environ gives
IDLE = "sleep 300"


class StandbyRun:
    """A run in a fork of the standby, which behaves like `agent-runtime run`.

    Args:
        standby: the standby process.
        request: the request, or the bytes of one; an object is given a `runId`, by which what
            the run starts can be found.
        environ: the run's environment, besides what every test's run gets.
        folder: of the state directory; the workspace is in it.
    """

    def __init__(
        self, standby: Running, request: Json | bytes, environ: Mapping[str, str], folder: Path
    ) -> None:
        self.folder, self.workspace, self.state = folder, folder / "workspace", folder / "state"
        self.workspace.mkdir(exist_ok=True)
        self.run_id = f"run_{os.urandom(8).hex()}"
        self.events: list[Json] = []
        self.raw = b""
        self.code: int | None = None
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `end`
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(120)
        self._socket.connect(str(standby.path))
        launch = {"cwd": str(self.workspace), "env": environment(environ, self.state), "options": {}}
        preamble = json.dumps({PREAMBLE: launch}).encode() + b"\n"
        socket.send_fds(self._socket, [preamble], [self._stderr.fileno()])
        if isinstance(request, bytes):  # as it is, and nothing after it
            self.write(request)
            self._socket.shutdown(socket.SHUT_WR)
        else:
            self.write(json.dumps({"prompt": "go", "runId": self.run_id} | request).encode() + b"\n")
        self._lines = self._socket.makefile("rb")
        self.pid = int(json.loads(self._lines.readline())["pid"])

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say(self, **message: object) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close its stdin and stdout, and wait for its end."""
        self._close()
        until(lambda: not Path(f"/proc/{self.pid}").exists())
        assert b"Traceback" not in self.stderr(), self.stderr()
        self._stderr.close()

    def kill(self) -> None:
        """SIGKILL, and the end of all that it had started."""
        self.signal(signal.SIGKILL)
        until(lambda: not Path(f"/proc/{self.pid}").exists())
        kill(self.started())
        self._close()
        self._stderr.close()

    def until(self, *kinds: str) -> Json:
        """The next event of one of these types."""
        while (event := self._next()) is not None:
            if event["type"] in kinds:
                return event
        raise AssertionError(f"no {kinds} in {self.events}, stderr: {self.stderr()!r}")

    def end(self) -> Result:
        """Wait for the end of the run and its process, and return its checked events."""
        while self._next() is not None:
            pass
        self._close()
        assert self.code is not None, (self.events[-3:], self.stderr())
        until(lambda: not Path(f"/proc/{self.pid}").exists())
        stderr = self.stderr()
        self._stderr.close()
        for key in KEYS:
            assert key.encode() not in self.raw + stderr
            assert not [path for path in self.state.rglob("*") if holds(path, key)]
        return result(self.raw, self.code, stderr)

    def stderr(self) -> bytes:
        return os.pread(self._stderr.fileno(), 1 << 20, 0)

    def until_none_lives(self) -> None:
        """Wait until nothing that the run has started lives: the kernel needs a moment for what was killed."""
        until(lambda: not self.started())

    def started(self) -> list[int]:
        """The living processes that this run has started, recognized by their environment or command line."""
        return [pid for pid in pids() if self.run_id in said_by(pid)]

    def _close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _next(self) -> Json | None:
        line = self._lines.readline()
        if line.startswith(PID) or line.startswith(EXIT):
            self.code = json.loads(line)["exit"]
            return self._next()
        self.raw += line
        if not line:
            return None
        event: Json = json.loads(line)
        self.events.append(event)
        return event


def pause(trial: StandbyRun) -> None:
    """Pause the run. The error about a second, invalid line shows that the first was read."""
    trial.say(action="pause")
    trial.write(b"?\n")
    trial.until("error")


def pause_and_resume(trial: StandbyRun) -> None:
    """Pause while a tool waits for the file `go`, let that end, and go on."""
    trial.until("tool_call")
    pause(trial)
    (trial.workspace / "go").touch()
    trial.until("tool_result")
    trial.say(action="resume")


def kill(processes: list[int]) -> None:
    """End them, and wait until they are gone."""
    for pid in processes:
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in processes))


def request_for(format: WireFormat, **fields: Any) -> Json:
    """A request that any scripted turn of these tests can serve, with one retry at most."""
    config = {"maxRetries": 1} | fields.pop("config", {})
    return {"tools": ["bash"], "config": config} | fields


def resumed(
    standby: Running, format: WireFormat, thread: str, folder: Path, signatures: Collection[str] = ()
) -> list[Any]:
    """Continue a thread; a strict provider must accept its history. Returns the messages that it was sent.

    `signatures`: the signatures that the provider has issued before.
    """
    with ModelServer([Turn(text="resumed")]) as server:
        server.signatures |= set(signatures)
        request = request_for(format, threadId=thread, prompt="and now?")
        done = StandbyRun(standby, request, server.environ(format), folder).end()
        assert server.violations == []
        assert (done.code, done.complete["output"]) == (0, "resumed"), done.complete
        body = server.bodies[0]
        messages: list[Any] = body["input" if format == "openai-responses" else "messages"]
        return messages


def pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def said_by(pid: int) -> str:
    """Environment and command line of a process; nothing of one that has ended."""
    text = ""
    for name in ("environ", "cmdline"):
        try:
            text += Path(f"/proc/{pid}/{name}").read_text(errors="replace")
        except OSError:
            continue
    return text


def holds(path: Path, text: str) -> bool:
    try:
        return path.is_file() and text.encode() in path.read_bytes()
    except OSError:
        return False
