"""Process 1 of the virtual machine: prepares it, keeps a standby running, reaps, and carries runs over one byte stream.

The stream is the virtio-serial port `org.agent.0`, or with `agent.vsock=PORT` on the kernel command line a vsock
connection from the host. Messages (see link.py), from the host:

    {"start": ID, "request": {...}, "env": {...}, "cwd": "/workspace"}      begin a run
    {"control": ID, "line": {...}}                                          a control line of that run
    {"vm": "freeze"}                                                        freeze all runs; no run begins
    {"command": ID, "arguments": ["demo"]}                                  execute a command of agent-runtime
    {"vm": "thaw", "time": SECONDS, "entropy": HEX, "runs": {ID: {...}}}    thaw them, each with its own fields
    {"vm": "status"}                                                        answered by {"vm": "ready", ...}
    {"vm": "poweroff"}

and to the host: {"vm": "ready", "runs": [ID]}, {"event": ID, "line": TEXT}, {"exit": ID, "code": N},
{"vm": "frozen", "runs": {...}}, {"vm": "error", "message": TEXT} about a message that is invalid.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import machine
from link import Link  # pyright: ignore[reportMissingImports] -- beside this file in the image

STANDBY = Path("/run/agent/standby.sock")
PROGRAM = ["/opt/agent-runtime/bin/python", "-I", "-m", "agent_runtime"]
USER = 1000
AS_USER: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []}
HOME = {"HOME": "/home/agent", "USER": "agent", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
RETRY = 0.05  # seconds between two attempts to reach a host that is not connected


class Channel:
    """The byte stream to the host."""

    def __init__(self, vsock: int | None) -> None:
        self.link = Link()
        self._listener: socket.socket | None = None
        self._fd = -1
        if vsock is None:
            self._fd = os.open(_port(), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self.link.connect()
        else:
            self._listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            self._listener.bind((socket.VMADDR_CID_ANY, vsock))
            self._listener.listen(1)

    def watched(self) -> dict[int, int]:
        """Return the descriptors to wait for, with the flags of poll."""
        found = {self._listener.fileno(): select.POLLIN} if self._listener else {}
        if self._fd >= 0:
            found[self._fd] = select.POLLIN | (select.POLLOUT if self.link.outgoing else 0)
        return found

    def handle(self, fd: int, flags: int) -> list[dict[str, Any]]:
        """Read and write what is possible. Returns the messages that have arrived."""
        if self._listener and fd == self._listener.fileno():
            self._close()
            self._fd = self._listener.accept()[0].detach()
            os.set_blocking(self._fd, False)
            self.link.connect()
            return []
        data = b""
        try:
            if flags & select.POLLIN:
                data = os.read(fd, 1 << 16)
            if flags & select.POLLOUT:
                del self.link.outgoing[: os.write(fd, self.link.outgoing[: 1 << 15])]
        except BlockingIOError:
            pass
        except OSError:
            flags |= select.POLLHUP
        if not data and flags & (select.POLLHUP | select.POLLIN):
            if self._listener:
                self._close()
            else:  # the host is not connected to the port
                time.sleep(RETRY)
        return self.link.feed(data)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Run:
    """One run: its connection to the standby, which has its events and takes its control lines."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.id = message["start"]
        self.is_frozen: dict[str, Any] | None = None  # the notice
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(STANDBY))
        place = {"cwd": message.get("cwd", "/workspace"), "env": HOME | message.get("env", {}), "options": {}}
        self.say({"standby": place})
        self.say(message["request"])
        self._begun = b""

    def say(self, line: dict[str, Any]) -> None:
        """Send a line to the run."""
        with suppress(OSError):  # it has ended
            self.socket.sendall(json.dumps(line).encode() + b"\n")

    def lines(self) -> list[str] | None:
        """Return the lines that have arrived; None at the end."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [line.decode() for line in lines] if data else None


class Command:
    """A command of agent-runtime whose lines of output are events."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.id = message["command"]
        self.is_frozen: dict[str, Any] | None = {"details": {}}
        self.process = subprocess.Popen(
            [*PROGRAM, *message["arguments"]],
            cwd="/workspace",
            env=HOME | message.get("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **AS_USER,
        )
        assert self.process.stdout
        self.socket = self.process.stdout
        self._begun = b""

    def say(self, line: dict[str, Any]) -> None:
        """Do nothing: it takes no input."""

    def lines(self) -> list[str] | None:
        """Return the lines that have arrived; None at the end."""
        data = os.read(self.socket.fileno(), 1 << 16)
        *lines, self._begun = (self._begun + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines] if data else None


class Init:
    """The main loop."""

    def __init__(self, options: dict[str, str]) -> None:
        port = options.get("agent.vsock")
        self._channel = Channel(int(port) if port else None)
        self._link = self._channel.link
        self._runs: dict[int, Run | Command] = {}  # by descriptor
        self._codes: dict[str, int] = {}
        self._statuses: dict[int, int] = {}  # of children that were reaped
        self._waiting: list[dict[str, Any]] | None = None  # runs to be started after the thaw, while frozen
        self._asked = False  # the host waits for {"vm": "frozen"}
        self._standby = self._start_standby()
        woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        self._woken = woken
        self._report_ready()

    def serve(self) -> None:
        """Serve until the machine is powered off."""
        while True:
            poll = select.poll()
            watched = self._channel.watched() | {self._woken: select.POLLIN}
            if self._link.has_room:
                watched |= dict.fromkeys(self._runs, select.POLLIN)
            for fd, flags in watched.items():
                poll.register(fd, flags)
            for fd, flags in poll.poll():
                if fd == self._woken:
                    os.read(fd, 4096)
                    self._reap()
                elif fd in self._runs:
                    self._follow(fd)
                else:
                    for message in self._channel.handle(fd, flags):
                        self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        """Do what the host asks for. An invalid message is answered, and must not end process 1."""
        try:
            self._execute(message)
        except Exception as error:
            self._link.send({"vm": "error", "message": f"{type(error).__name__}: {error}"[:1000]})

    def _execute(self, message: dict[str, Any]) -> None:
        match message:
            case {"start": _} if self._waiting is not None:
                self._waiting.append(message)
            case {"start": id}:
                try:
                    run = Run(message)
                    self._runs[run.socket.fileno()] = run
                except Exception as error:
                    self._link.send({"exit": id, "code": 1, "error": str(error)})
            case {"command": _}:
                command = Command(message)
                self._runs[command.socket.fileno()] = command
            case {"control": id, "line": line}:
                for run in self._with_id(id):
                    run.say(line)
            case {"vm": "freeze"}:
                self._waiting = self._waiting or []
                self._asked = True
                for run in self._runs.values():
                    run.say({"action": "freeze"})
                self._report_frozen()
            case {"vm": "thaw"}:
                self._thaw(message)
            case {"vm": "status"}:
                self._report_ready()
            case {"vm": "poweroff"}:
                machine.power_off()

    def _thaw(self, message: dict[str, Any]) -> None:
        if "time" in message:
            machine.set_clock(message["time"])
        if "entropy" in message:
            machine.add_entropy(bytes.fromhex(message["entropy"]))
        for run in self._runs.values():
            run.is_frozen = None
            run.say({"action": "thaw"} | message.get("runs", {}).get(run.id, {}))
        waiting, self._waiting = self._waiting or [], None
        for start in waiting:
            self._handle(start)

    def _follow(self, fd: int) -> None:
        run = self._runs[fd]
        lines = run.lines()
        for line in lines or ():
            if line.startswith('{"pid": '):
                continue
            if line.startswith('{"exit": '):
                self._codes[run.id] = json.loads(line)["exit"]
                continue
            self._link.send({"event": run.id, "line": line})
            if '"code":"frozen"' in line:
                run.is_frozen = json.loads(line)
        if lines is None:
            if isinstance(run, Command):
                self._codes[run.id] = self._statuses.pop(run.process.pid, None) or run.process.wait()
            run.socket.close()
            del self._runs[fd]
            self._link.send({"exit": run.id, "code": self._codes.pop(run.id, 1)})
        self._report_frozen()

    def _report_ready(self) -> None:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        self._link.send({"vm": "ready", "uptime": uptime, "runs": [run.id for run in self._runs.values()]})

    def _report_frozen(self) -> None:
        """Answer the host when all runs are frozen."""
        if self._asked and all(run.is_frozen for run in self._runs.values()):
            self._asked = False
            os.sync()
            notices = {run.id: run.is_frozen["details"] for run in self._runs.values() if run.is_frozen}
            self._link.send({"vm": "frozen", "runs": notices})

    def _with_id(self, id: str) -> list[Run | Command]:
        return [run for run in self._runs.values() if run.id == id]

    def _start_standby(self) -> subprocess.Popen[bytes]:
        STANDBY.parent.mkdir(exist_ok=True)
        os.chown(STANDBY.parent, USER, USER)
        standby: subprocess.Popen[bytes] = subprocess.Popen(
            [*PROGRAM, "standby", "--socket", str(STANDBY)],
            cwd="/workspace",
            env=HOME,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **AS_USER,
        )
        while not STANDBY.exists() and standby.poll() is None:
            time.sleep(0.01)
        return standby

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                pid, self._statuses[ended[0]] = ended[0], os.waitstatus_to_exitcode(ended[1])
                if pid == self._standby.pid:
                    self._standby = self._start_standby()


def _port() -> str:
    """Return the device of the virtio-serial port, which may take a moment to appear."""
    while True:
        for name in Path("/sys/class/virtio-ports").glob("*/name"):
            if name.read_text().strip() == "org.agent.0":
                return f"/dev/{name.parent.name}"
        time.sleep(0.01)


def main() -> None:
    """Run as process 1."""
    machine.mount_all()
    words = Path("/proc/cmdline").read_text().split()
    options = {name: value for name, equals, value in (word.partition("=") for word in words) if equals}
    os.environ.clear()
    os.environ.update({"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
    socket.sethostname(options.get("agent.hostname", "sandbox"))
    machine.set_up_network(options)
    if "agent.time" in options:
        machine.set_clock(float(options["agent.time"]))
    Init(options).serve()


if __name__ == "__main__":
    main()
