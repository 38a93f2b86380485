"""A virtual machine of build-vm as a sandbox: the host's end of the channel to its init."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from endings import KILLED, Endings
from link import Link
from sandboxes import Happening, Json, event_of


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
        self._endings = Endings()
        self._frozen: Json | None = None
        self.is_ready = False

    def start(self, id: str, request: Json, env: Mapping[str, str] | None = None) -> None:
        """See Sandbox."""
        self._under_way.add(id)
        self._endings.begin(id, request)
        self._link.send({"start": id, "request": request, "env": dict(env or {})})

    def execute(self, id: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """See Sandbox."""
        self._under_way.add(id)
        self._link.send({"command": id, "arguments": list(arguments), "env": dict(env or {})})

    def control(self, id: str, line: Json) -> None:
        """See Sandbox."""
        self._link.send({"control": id, "line": line})

    def happenings(self) -> Iterator[Happening]:
        """See Sandbox. When the machine has ended, or cannot be reached any more, so have its runs."""
        while self._under_way:
            try:
                messages = self._exchange()
            except OSError as error:
                yield from self._lost(f"the machine has ended ({error.strerror or error})")
                return
            for message in messages:
                yield from self._happened(message)

    def _lost(self, reason: str) -> Iterator[Happening]:
        for id in sorted(self._under_way):
            yield from self._ended(id, KILLED, reason)

    def _ended(self, id: str, code: int, reason: str, last: Json | None = None) -> Iterator[Happening]:
        for event in self._endings.end(id, reason, last):
            yield id, event
        self._under_way.discard(id)
        yield id, code

    def _happened(self, message: Json) -> Iterator[Happening]:
        match message:
            case {"event": str(id), "line": str(line)}:
                yield id, self._endings.take(id, event_of(line))
            case {"exit": str(id), "code": int(code)}:
                yield from self._ended(id, code, message.get("reason", "it was killed"), message.get("last"))
            case {"vm": "frozen", "runs": dict(runs)}:
                self._frozen = runs
            case {"vm": "ready"}:
                self._under_way |= {*message.get("runs", ())}
                self.is_ready = True
            case {"vm": "error", "message": text}:
                raise RuntimeError(f"the machine refuses a message: {text}")

    def wait_ready(self) -> None:
        """Wait until the machine takes runs."""
        self._until_ready()

    def _until_ready(self) -> list[Happening]:
        happened: list[Happening] = []
        while not self.is_ready:
            for message in self._exchange():
                happened += self._happened(message)
        return happened

    def attach(self) -> list[Happening]:
        """Take over the runs of a machine that another program has started, such as this one before it ended.

        Returns what that one has not acknowledged.
        """
        self._link.send({"vm": "status"})
        return self._until_ready()

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
        copy._link, copy._endings = self._link.copy(), self._endings.copy()
        copy._under_way, copy.is_ready = set(self._under_way), True
        return copy

    def close(self) -> None:
        """See Sandbox."""
        self._link.send({"vm": "poweroff"})
        with suppress(OSError):
            while self._stream and self._link.outgoing:
                self._exchange(0.05)
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


def connect_unix(
    path: Path,
    vsock_port: int | None = None,
    seconds: float = 60,
    is_running: Callable[[], bool] = lambda: True,
) -> socket.socket:
    """Connect to the socket of a virtio-serial port, or of Firecracker's or cloud-hypervisor's vsock device.

    Raises OSError when that fails for so many seconds, or the machine does not run any more.
    """
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
            if time.monotonic() > deadline or not is_running():
                raise
            time.sleep(0.05)
        else:
            return stream
