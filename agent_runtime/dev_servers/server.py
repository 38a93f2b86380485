"""One port of the run: who serves it, what is known about it, and the event that says so.

Nothing is asked of a server unasked: what is known comes from the table of sockets, from what was printed and from
command lines. See `Standing` for what decides which of several servers is the one to open.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent_runtime.dev_servers.announcements import Announcement
from agent_runtime.dev_servers.ownership import OpenPort
from agent_runtime.dev_servers.programs import Protocol, names_port, protocol, usual
from agent_runtime.dev_servers.urls import Template, local_url
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.processes import Process, lineage
from agent_runtime.system.sockets import Listener, ephemeral_ports

if TYPE_CHECKING:
    from agent_runtime.dev_servers.http_check import Answer
    from agent_runtime.shell.call_processes import Background

_COMMAND_LIMIT = 1000  # characters of a command line that are kept
_ANSWERS = {"http": True, "https": True, "other": False}


class Standing(IntEnum):
    """Would a person open this address? Of the best ones, the latest is `devUrl`."""

    NOT_HTTP = 0  # a database, a debugger, what answered something else
    INTERNAL = 1  # the kernel chose the port, on loopback, and nobody printed it: no address for anybody
    HELPER = 2  # a reload channel, an API beside an app, a port that usually is another protocol's
    FIXED = 3  # a port that somebody chose
    KNOWN = 4  # printed by its server, or known to speak HTTP


@dataclass
class Server:
    """What is known of a port.

    Args:
        port: the port.
        seen: when it was first seen to listen; monotonic clock, as `gone`.
        now: its sockets and who holds them.
        gone: since when it does not listen; None while it does.
        announcement: what was printed about it.
        mentioned: does a tool's call name the port?
        log: the file that its output goes to.
        call_id: the tool call that left it running, where that is known.
        checked: what it answered to a request that was asked for.
    """

    port: int
    seen: float
    now: OpenPort
    gone: float | None = None
    announcement: Announcement | None = None
    mentioned: bool = False
    command: str | None = None
    log: Path | None = None
    call_id: str | None = None
    checked: Answer | None = None
    _protocol: Protocol | None = None  # by the command line
    _named: bool = False  # by a command line or a variable of the server, or of what started it
    _above: set[Process] = field(default_factory=set)  # the processes that started it, itself included

    @property
    def pid(self) -> int | None:
        """The leader: the oldest process that listens."""
        return self.now.owners[0].pid if self.now.owners else None

    @property
    def http(self) -> bool | None:
        """Does it speak HTTP? None: not known."""
        if self.checked in _ANSWERS:
            return _ANSWERS[self.checked]
        known = self._protocol
        if known in ("other", "debugger") or (self.announcement and self.announcement.role == "debugger"):
            return False
        if (self.announcement and self.announcement.web) or (known in ("http", "https")):
            return True
        return None

    @property
    def standing(self) -> Standing:
        """Which servers it comes before."""
        if self.http is False:
            return Standing.NOT_HTTP
        helper = self._protocol == "reload" or (self.announcement and self.announcement.role == "helper")
        if helper and self.checked is None:
            return Standing.HELPER
        if self.announcement or self.checked in ("http", "https"):
            return Standing.KNOWN
        if self.is_internal:
            return Standing.HELPER if self.http else Standing.INTERNAL
        if self.http:
            return Standing.KNOWN
        unlikely = usual(self.port) in ("other", "debugger") or not self._is_chosen
        return Standing.HELPER if unlikely else Standing.FIXED

    @property
    def is_internal(self) -> bool:
        """A port of the kernel's choice, on loopback, that nobody printed or named."""
        return self.now.loopback and not self._is_chosen and not self.announcement

    @property
    def _is_chosen(self) -> bool:
        return self._named or self.mentioned or self.port not in ephemeral_ports()

    def refresh(self, now: OpenPort, root: int) -> None:
        """It is (still, or again) there. `root` is the runtime's pid: nothing above it is the server's."""
        new = self.command is None or self.now.owners[:1] != now.owners[:1]
        if self.now.inodes.isdisjoint(now.inodes):  # restarted, and maybe another program
            self.checked = None
        self.now, self.gone = now, None
        if new and now.owners:
            above = _up_to(root, lineage(now.owners[0]))
            self._above = set(above)
            self.command = command_line(now.owners[0])
            self._protocol = protocol(now.owners[0].argv, self.port)
            self._named = any(names_port(process.argv, self.port) for process in above) or any(
                entry.endswith(f"PORT={self.port}") for entry in now.owners[0].environment
            )
            self.log = _output_file(above, root)

    def is_replaced(self, now: OpenPort) -> bool:
        """Did the port close and open again, for another program, or where others can (or cannot) reach it?"""
        if not self.now.inodes.isdisjoint(now.inodes):
            return False
        command = command_line(now.owners[0])
        return self.now.loopback != now.loopback or (command is not None and command != self.command)

    def attribute(self, background: Collection[Background]) -> None:
        """Take the call, and where there is none the log, of what a call left running and this descends from."""
        pids = {process.pid for process in self._above}
        for entry in background:
            if entry.pid in pids:
                self.call_id = entry.call_id or None
                if self.log is None and entry.log_file:
                    self.log = Path(entry.log_file)

    def descends_from(self, processes: Collection[Process]) -> bool:
        """Is it, or was it started by, one of these?"""
        return not self._above.isdisjoint(processes)

    async def check(self, seconds: float) -> None:
        """Send one GET request. Only for who has asked for that."""
        from agent_runtime.dev_servers.http_check import check

        path = self.announcement.path if self.announcement else ""
        for host in self._hosts():
            self.checked = await check(host, self.port, path=path or "/", seconds=seconds)
            if self.checked != "unreachable":
                break

    def event(self, status: Literal["up", "down"], template: Template) -> DevUrlEvent:
        """The `dev_url` event that says what is known now."""
        path = self.announcement.path if self.announcement else ""
        scheme = self._scheme()
        return DevUrlEvent(
            url=template.url(self.port, scheme=scheme, path=path),
            port=self.port,
            local_url=local_url(self._hosts()[0], self.port, scheme=scheme, path=path),
            status=status,
            pid=self.pid,
            command=self.command,
            log_file=str(self.log) if self.log else None,
            http=self.http,
            loopback_only=self.now.loopback,
        )

    def _scheme(self) -> str:
        if self.checked in ("http", "https"):
            return self.checked
        if self.announcement and self.announcement.web:
            return self.announcement.scheme
        return "https" if "https" in (self._protocol, usual(self.port)) else "http"

    def _hosts(self) -> list[str]:
        """Where a client on this machine finds it: IPv4 before IPv6, wildcard and loopback before the rest."""
        sockets = sorted(self.now.sockets, key=_preference)
        return list(dict.fromkeys(host for socket in sockets for host in socket.hosts()))


def _preference(socket: Listener) -> tuple[int, bool, bytes]:
    return (len(socket.address), any(socket.address) and not socket.loopback, socket.address)


def command_line(process: Process) -> str | None:
    """What a process was started with, quoted for a shell; None when it has gone."""
    from shlex import join

    words = process.argv
    # one word is a title that the process gave itself, or a program without arguments
    return (words[0] if len(words) == 1 else join(words))[:_COMMAND_LIMIT] or None


def _up_to(root: int, processes: list[Process]) -> list[Process]:
    """Those below the runtime, or, of a process that is not below it, itself alone."""
    pids = [process.pid for process in processes]
    return processes[: pids.index(root)] if root in pids else processes[:1]


def _output_file(processes: list[Process], root: int) -> Path | None:
    """The file that the output of the first of these goes to, or of one above it: `concurrently` reads from pipes.

    Pipes, terminals, /dev/null and the runtime's own log do not count.
    """
    own = _outputs(Process.of(root))
    for process in processes:
        for path in _outputs(process):
            if path not in own and path.is_absolute() and path.is_file():
                return path
    return None


def _outputs(process: Process | None) -> list[Path]:
    files = process.open_files() if process else {}
    return [Path(files[fd]) for fd in (1, 2) if fd in files]
