"""One port of the run: who serves it, does it speak HTTP, under which path, and the event that says so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent_runtime.dev_servers.ownership import OpenPort
from agent_runtime.dev_servers.urls import Template, base_path, local_url
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.processes import Process, lineage
from agent_runtime.system.sockets import Listener

if TYPE_CHECKING:
    from agent_runtime.dev_servers.probe import Answer

PROBE = 0.25  # seconds that a server is given to answer at first
# seconds until a silent one is asked again, and that it has then: some compile
_COMMAND_LIMIT = 1000  # characters of a command line that are kept
_ASK_AGAIN = (1.0, 2.0, 4.0, 8.0)


@dataclass
class Server:
    """What is known of a port. `seen` and `gone` are times of the monotonic clock."""

    port: int
    seen: float
    now: OpenPort
    gone: float | None = None
    path: str | None = None  # as the server printed it; None: nothing printed so far
    command: str | None = None
    log: Path | None = None
    host: str = ""  # the literal address at which it was reached
    answer: Answer = "silent"
    asked: int = 0
    ask_at: float = 0.0

    @property
    def pid(self) -> int | None:
        """The leader: the oldest process that listens."""
        return self.now.owners[0].pid if self.now.owners else None

    @property
    def http(self) -> bool | None:
        """None: it may yet answer."""
        if self.answer == "silent" and self.asked <= len(_ASK_AGAIN):
            return None
        return self.answer in ("http", "https")

    def refresh(self, now: OpenPort) -> None:
        """It is (still, or again) there."""
        if self.command is None or self.now.owners[0] != now.owners[0]:
            self.command, self.log = command_line(now.owners[0]), output_file(now.owners[0])
        if self.now.inodes.isdisjoint(now.inodes):  # it was restarted, and may be another one
            self.answer, self.asked, self.ask_at = "silent", 0, 0.0
        self.now, self.gone = now, None

    def is_replaced(self, now: OpenPort) -> bool:
        """Did the port close and open again, for another program, or where others can (or cannot) reach it?"""
        if not self.now.inodes.isdisjoint(now.inodes):
            return False
        command = command_line(now.owners[0])
        return self.now.loopback != now.loopback or (command is not None and command != self.command)

    def find_log(self, logs: Mapping[int, str | None]) -> None:
        """Take the log that the shell keeps for it, or for a process above it; `logs` is by pid."""
        above = lineage(self.now.owners[0])
        self.log = next(
            (Path(log) for pid, log in logs.items() if log and pid in {p.pid for p in above}), None
        )

    async def ask(self) -> None:
        """Probe it, and say when to ask again in case it is silent."""
        from agent_runtime.dev_servers.probe import probe

        self.ask_at = inf
        budget = (PROBE, *_ASK_AGAIN)[self.asked]
        hosts = [host for socket in _best_first(self.now.sockets) for host in socket.hosts()]
        for host in dict.fromkeys(hosts):
            self.host = host
            self.answer = await probe(host, self.port, path=self.base_path() or "/", budget=budget)
            if self.answer != "unreachable":
                break
        if self.asked < len(_ASK_AGAIN):
            self.ask_at = time.monotonic() + _ASK_AGAIN[self.asked]
        self.asked += 1

    def base_path(self) -> str:
        """The path that its log announces, looked for until there is one; "" for none."""
        if self.path is None and self.log:
            self.path = base_path(self.log, self.port)
        return self.path or ""

    def event(self, status: Literal["up", "down"], template: Template) -> DevUrlEvent:
        """What the stream is told."""
        scheme = "https" if self.answer == "https" else "http"
        path = self.base_path()
        host = self.host or _best_first(self.now.sockets)[0].hosts()[0]
        return DevUrlEvent(
            url=template.url(self.port, scheme=scheme, path=path),
            port=self.port,
            local_url=local_url(host, self.port, scheme=scheme, path=path),
            status=status,
            pid=self.pid,
            command=self.command,
            log_file=str(self.log) if self.log else None,
            http=self.http,
            loopback_only=self.now.loopback,
        )


def _best_first(sockets: list[Listener]) -> list[Listener]:
    """IPv4 before IPv6, wildcard and loopback before the rest: the first that answers gives the local URL."""
    return sorted(sockets, key=lambda s: (len(s.address), any(s.address) and not s.loopback, s.address))


def command_line(process: Process) -> str | None:
    """What a process was started with, quoted for a shell; None when it has gone."""
    from shlex import join

    words = process.argv
    # one word is a title that the process gave itself, or a program without arguments
    return (words[0] if len(words) == 1 else join(words))[:_COMMAND_LIMIT] or None


def output_file(process: Process) -> Path | None:
    """The file that a process's standard output or error goes to; None for pipes, terminals and /dev/null."""
    files = process.open_files()
    for fd in (1, 2):
        path = Path(files.get(fd, ""))
        if path.is_absolute() and path.is_file():
            return path
    return None
