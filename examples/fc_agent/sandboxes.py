"""Where runs take place: a process of this machine, a container, a virtual machine. All have the same methods."""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from link import Link

Json = dict[str, Any]
Happening = tuple[str, Json | int]  # the id of a run, and its event, or its exit status at the end


class Sandbox(Protocol):
    """A place where runs take place."""

    def start(self, id: str, request: Json, env: Mapping[str, str] | None = None) -> None:
        """Begin a run. `id` is the caller's name for it."""

    def control(self, id: str, line: Json) -> None:
        """Send a control line to a run."""

    def happenings(self) -> Iterator[Happening]:
        """Yield what happens in all runs, until none is under way."""
        ...

    def freeze(self) -> None:
        """Freeze all runs; their notices `frozen` come as events. A snapshot may be taken after that."""

    def thaw(self, renewals: Mapping[str, Json] | None = None) -> None:
        """Let the runs go on. A fork gives each run the fields of its `thaw`, by the caller's names."""

    def close(self) -> None:
        """End everything."""


class Processes:
    """Runs as processes: of this machine, or with a prefix such as `podman run`, one container each."""

    def __init__(self, prefix: Sequence[str], *, cwd: str | None = None) -> None:
        self._prefix, self._cwd = prefix, cwd
        self._runs: dict[str, subprocess.Popen[bytes]] = {}
        self._queue: queue.Queue[Happening] = queue.Queue(64)  # bounded: a slow reader slows the runs
        self._under_way: set[str] = set()

    def start(self, id: str, request: Json, env: Mapping[str, str] | None = None) -> None:
        """See Sandbox. The session is new: Ctrl-C reaches this process alone, which cancels the runs."""
        run = subprocess.Popen(
            self._prefix,
            cwd=self._cwd,
            env=os.environ | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._runs[id] = run
        self._under_way.add(id)
        self.control(id, request)
        threading.Thread(target=self._read, args=(id, run), daemon=True).start()

    def _read(self, id: str, run: subprocess.Popen[bytes]) -> None:
        assert run.stdout
        for line in run.stdout:
            self._queue.put((id, json.loads(line)))
        self._queue.put((id, run.wait()))

    def control(self, id: str, line: Json) -> None:
        """See Sandbox."""
        stdin = self._runs[id].stdin
        assert stdin
        with suppress(BrokenPipeError):  # it has ended
            stdin.write(json.dumps(line).encode() + b"\n")
            stdin.flush()

    def happenings(self) -> Iterator[Happening]:
        """See Sandbox."""
        while self._under_way:
            id, what = self._queue.get()
            if isinstance(what, int):
                self._under_way.discard(id)
            yield id, what

    def freeze(self) -> None:
        """See Sandbox."""
        for id in self._under_way:
            self.control(id, {"action": "freeze"})

    def thaw(self, renewals: Mapping[str, Json] | None = None) -> None:
        """See Sandbox."""
        for id in self._under_way:
            self.control(id, {"action": "thaw"} | dict((renewals or {}).get(id, {})))

    def close(self) -> None:
        """See Sandbox."""
        for run in self._runs.values():
            run.send_signal(signal.SIGTERM)
            run.wait()


def local(workspace: str) -> Processes:
    """Return a sandbox of processes of this machine."""
    return Processes([sys.executable, "-I", "-m", "agent_runtime", "run"], cwd=workspace)


def container(image: str, workspace: str, engine: str = "podman", *options: str) -> Processes:
    """Return a sandbox whose runs are containers: no capabilities, a root that cannot be written to."""
    flags = [
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--tmpfs=/tmp",
        "--tmpfs=/home/agent",
    ]
    return Processes(
        [engine, "run", "--rm", "-i", *flags, "-v", f"{workspace}:/workspace", *options, image, "run"]
    )


class Machine:
    """A virtual machine of build-vm, over a stream socket to its init.

    Args:
        connect: returns a new connection; called again when one breaks.
    """

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect
        self._link = Link()
        self._stream: socket.socket | None = None
        self._under_way: set[str] = set()
        self._frozen: Json | None = None
        self.is_ready = False

    def start(self, id: str, request: Json, env: Mapping[str, str] | None = None) -> None:
        """See Sandbox."""
        self._under_way.add(id)
        self._link.send({"start": id, "request": request, "env": dict(env or {})})

    def execute(self, id: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """Execute another command of agent-runtime; a line of its output that is no event is `{"text": LINE}`."""
        self._under_way.add(id)
        self._link.send({"command": id, "arguments": list(arguments), "env": dict(env or {})})

    def control(self, id: str, line: Json) -> None:
        """See Sandbox."""
        self._link.send({"control": id, "line": line})

    def happenings(self) -> Iterator[Happening]:
        """See Sandbox."""
        while self._under_way:
            for message in self._exchange():
                yield from self._happened(message)

    def _happened(self, message: Json) -> Iterator[Happening]:
        match message:
            case {"event": str(id), "line": str(line)}:
                yield id, json.loads(line) if line.startswith("{") else {"text": line}
            case {"exit": str(id), "code": int(code)}:
                self._under_way.discard(id)
                yield id, code
            case {"vm": "frozen", "runs": dict(runs)}:
                self._frozen = runs
            case {"vm": "ready"}:
                self.is_ready = True

    def wait_ready(self) -> None:
        """Wait until the machine takes runs."""
        while not self.is_ready:
            for message in self._exchange():
                for _ in self._happened(message):
                    pass

    def freeze(self) -> None:
        """See Sandbox."""
        self._frozen = None
        self._link.send({"vm": "freeze"})

    @property
    def is_frozen(self) -> bool:
        """Whether all runs are frozen, and the disk is written."""
        return self._frozen is not None

    def wait_frozen(self) -> list[Happening]:
        """Wait until the machine is frozen, and return what happened until then."""
        happened: list[Happening] = []
        while not self.is_frozen:
            for message in self._exchange():
                happened += self._happened(message)
        while (
            self._link.outgoing
        ):  # what the guest has sent is acknowledged: the snapshot has nothing to send again
            self._exchange(0.05)
        return happened

    def thaw(self, renewals: Mapping[str, Json] | None = None) -> None:
        """See Sandbox. The machine's clock is set, and its random state renewed."""
        self._frozen = None
        message = {"vm": "thaw", "time": time.time(), "entropy": secrets.token_hex(64)}
        self._link.send(message | {"runs": dict(renewals or {})})

    def fork(self, connect: Callable[[], socket.socket]) -> Machine:
        """Return this end for another machine of the same snapshot: it knows which messages were received."""
        copy = Machine(connect)
        copy._link = self._link.copy()
        copy._under_way, copy.is_ready = set(self._under_way), True
        return copy

    def close(self) -> None:
        """See Sandbox."""
        self._link.send({"vm": "poweroff"})
        with suppress(OSError):
            while self._stream and self._link.outgoing:
                self._exchange()
        if self._stream:
            self._stream.close()

    def _exchange(self, seconds: float = 1.0) -> list[Json]:
        """Write what there is, wait for something to read, and return the messages."""
        stream = self._stream
        if stream is None:
            stream = self._stream = self._connect()
            self._link.connect()
        try:
            stream.settimeout(seconds)
            self._write(stream)
            data = stream.recv(1 << 16)
        except TimeoutError:
            return []
        except ConnectionError:
            data = b""
        if not data:
            stream.close()
            self._stream = None
            return []
        messages = self._link.feed(data)
        with suppress(OSError):  # acknowledge at once
            self._write(stream)
        return messages

    def _write(self, stream: socket.socket) -> None:
        while self._link.outgoing:
            del self._link.outgoing[: stream.send(self._link.outgoing[: 1 << 16])]


def connect_unix(path: Path, vsock_port: int | None = None, seconds: float = 60) -> socket.socket:
    """Connect to the socket of a virtio-serial port, or of Firecracker's or cloud-hypervisor's vsock device."""
    deadline = time.monotonic() + seconds
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(str(path))
            if vsock_port is not None:
                stream.sendall(f"CONNECT {vsock_port}\n".encode())
                if not stream.recv(32).startswith(b"OK"):
                    raise ConnectionRefusedError
        except OSError:
            stream.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return stream
