"""Process 1 of the virtual machine: prepares it, keeps a standby running, reaps, and carries runs over one byte stream.

The stream is the virtio-serial port `org.agent.0`, or with `agent.vsock=PORT` on the kernel command line a vsock
connection from the host. Messages (see link.py), from the host:

    {"start": ID, "request": {...}, "env": {...}, "cwd": "/workspace"}      begin a run
    {"control": ID, "line": {...}}                                          a control line of that run
    {"command": ID, "arguments": ["demo"]}                                  execute a command of agent-runtime
    {"vm": "freeze"}                                                        freeze all runs; no run begins
    {"vm": "thaw", "time": SECONDS, "entropy": HEX, "runs": {ID: {...}}}    thaw them, each with its own fields
    {"vm": "status"}                                                        answered by {"vm": "ready", ...}
    {"vm": "poweroff"}

and to the host:

    {"vm": "ready", "uptime": SECONDS, "runs": [ID]}    it takes runs; those that are under way
    {"event": ID, "line": TEXT}
    {"exit": ID, "code": N}                             with `reason`, and `last`: the envelope of the last event,
                                                        when the run has ended without `complete`
    {"vm": "frozen", "runs": {ID: {...}}}               with the details of their notices
    {"vm": "error", "message": TEXT}                    a message is invalid, or the standby does not start
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import machine
from channel import Channel, open_channel
from runs import Command, Run
from standby import Standby

_LOOK = 50  # milliseconds between two looks at a standby that starts


class Init:
    """The main loop.

    Args:
        channel: to the host.
        standby: takes the runs.
        woken: a descriptor that is readable when a child may have ended.
    """

    def __init__(self, channel: Channel, standby: Standby, woken: int) -> None:
        self._channel, self._standby, self._woken = channel, standby, woken
        self._link = channel.link
        self._runs: dict[int, Run | Command] = {}  # by descriptor
        self._held: list[
            dict[str, Any]
        ] = []  # runs to be started when the standby takes them, with control `lines`
        self._is_frozen = False
        self._asked_frozen = False  # the host waits for {"vm": "frozen"}
        self._asked_ready = True  # the host waits for {"vm": "ready"}

    def serve(self) -> None:
        """Serve until the machine is powered off."""
        while True:
            self.step()

    def step(self) -> None:
        """Wait until there is something to do, and do it."""
        for fd, flags in self._poll():
            if fd == self._woken:
                os.read(fd, 4096)
                self._reap()
            elif fd in self._channel.watched():
                for message in self._channel.handle(fd, flags):
                    self._handle(message)
            elif fd in self._runs:
                self._follow(fd, flags)
        self._start_held()
        self._report_ready()
        self._report_frozen()

    def _poll(self) -> list[tuple[int, int]]:
        """Wait until there is something to do. Events are taken from runs as long as the host takes them."""
        poll = select.poll()
        watched = self._channel.watched() | {self._woken: select.POLLIN}
        watched |= {fd: run.flags(readable=self._link.has_room) for fd, run in self._runs.items()}
        for fd, flags in watched.items():
            if flags:
                poll.register(fd, flags)
        is_waiting = self._asked_ready or (self._held and not self._is_frozen)
        return poll.poll(_LOOK if is_waiting else None)

    def _handle(self, message: dict[str, Any]) -> None:
        """Do what the host asks for. An invalid message is answered, and must not end process 1."""
        try:
            self._execute(message)
        except Exception as error:
            self._link.send({"vm": "error", "message": f"{type(error).__name__}: {error}"[:1000]})

    def _execute(self, message: dict[str, Any]) -> None:
        match message:
            case {"start": str(id)} | {"command": str(id)} if id in self._ids():
                raise ValueError(f"{id}: a run of this name is under way")
            case {"start": str()}:
                self._held.append({**message, "lines": []})
            case {"command": str()}:
                self._add(Command(message))
            case {"control": str(id), "line": dict(line)}:
                self._control(id, line)
            case {"vm": "freeze"}:
                self._freeze()
            case {"vm": "thaw"}:
                self._thaw(message)
            case {"vm": "status"}:
                self._asked_ready = True
            case {"vm": "poweroff"}:
                machine.power_off()
            case _:
                raise ValueError("expected start, command, control, or vm: freeze, thaw, status, poweroff")

    def _control(self, id: str, line: dict[str, Any]) -> None:
        for run in self._runs.values():
            if run.id == id:
                run.send(line)
        for start in self._held:
            if start["start"] == id:
                start["lines"].append(line)

    def _freeze(self) -> None:
        self._is_frozen = self._asked_frozen = True
        for run in self._runs.values():
            run.send({"action": "freeze"})

    def _ids(self) -> list[str]:
        return [run.id for run in self._runs.values()] + [message["start"] for message in self._held]

    def _add(self, run: Run | Command) -> None:
        self._runs[run.fileno()] = run

    def _start_held(self) -> None:
        """Start the runs that wait, in order, unless the machine is frozen, or the standby starts or is busy."""
        while self._held and not self._is_frozen:
            try:
                self._add(Run(self._held[0], self._standby.path))
            except (ConnectionRefusedError, FileNotFoundError, BlockingIOError):
                if not self._standby.is_broken:
                    return
                self._refuse(self._held[0], "the standby of the machine does not start")
                self._standby.repair()
            except Exception as error:
                self._refuse(self._held[0], f"the message is invalid: {type(error).__name__}: {error}"[:1000])
            del self._held[0]

    def _refuse(self, message: dict[str, Any], reason: str) -> None:
        self._link.send({"exit": message["start"], "code": 1, "reason": reason, "last": {}})

    def _thaw(self, message: dict[str, Any]) -> None:
        if "time" in message:
            machine.set_clock(message["time"])
        if "entropy" in message:
            machine.add_entropy(bytes.fromhex(message["entropy"]))
        self._is_frozen = False
        for run in self._runs.values():
            if isinstance(run, Run):
                run.frozen = None
            run.send({"action": "thaw"} | message.get("runs", {}).get(run.id, {}))

    def _follow(self, fd: int, flags: int) -> None:
        """Take from a run what it has written, and give it what it takes."""
        run = self._runs[fd]
        if flags & select.POLLOUT:
            run.write()
        if not flags & ~select.POLLOUT:
            return
        lines = run.read()
        for line in lines or ():
            self._link.send({"event": run.id, "line": line})
        if lines is None:
            self._end(fd)

    def _end(self, fd: int) -> None:
        if message := self._runs[fd].end():
            del self._runs[fd]
            self._link.send(message)

    def _report_ready(self) -> None:
        """Answer the host when the standby takes runs."""
        if self._asked_ready and self._standby.is_broken:
            self._asked_ready = False
            self._link.send({"vm": "error", "message": "the standby does not start; see the console"})
        if self._asked_ready and self._standby.is_ready:
            self._asked_ready = False
            uptime = float(Path("/proc/uptime").read_text().split()[0])
            self._link.send({"vm": "ready", "uptime": uptime, "runs": self._ids()})

    def _report_frozen(self) -> None:
        """Answer the host when all runs are frozen."""
        if self._asked_frozen and all(run.frozen for run in self._runs.values()):
            self._asked_frozen = False
            os.sync()
            notices = {run.id: run.frozen["details"] for run in self._runs.values() if run.frozen}
            self._link.send({"vm": "frozen", "runs": notices})

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0] != 0:
                self._standby.reaped(ended[0])
                status = os.waitstatus_to_exitcode(ended[1])
                for fd, run in [*self._runs.items()]:
                    if isinstance(run, Command) and run.reaped(ended[0], status):
                        self._end(fd)


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
    port = options.get("agent.vsock")
    channel = open_channel(int(port) if port else None)
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    Init(channel, Standby(), woken).serve()


if __name__ == "__main__":
    main()
