"""One port of the run: its processes, what is known about it, and its `dev_url` event.

No request is sent to a server unless a caller asks for it: what is known comes from the table of sockets, from what was
printed and from command lines. See `Standing` for what decides which of several servers is the one to open.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent_runtime.dev_servers.announcements import Announcement
from agent_runtime.dev_servers.origin import Origin, command_line
from agent_runtime.dev_servers.ownership import OpenPort
from agent_runtime.dev_servers.programs import usual
from agent_runtime.dev_servers.urls import Template, local_url
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.sockets import Listener, ephemeral_ports

if TYPE_CHECKING:
    from agent_runtime.dev_servers.http_check import Answer
    from agent_runtime.shell.call_processes import Background

_ANSWERS = {"http": True, "https": True, "other": False}


class Standing(IntEnum):
    """How suitable an address is for a person to open. Of the best ones, the latest is `devUrl`."""

    NOT_HTTP = 0  # a database, a debugger, what answered something else
    INTERNAL = 1  # the kernel chose the port, on loopback, and no output names it: not reported as an address
    HELPER = 2  # a reload channel, an API beside an app, a port that usually is another protocol's
    FIXED = 3  # a port that somebody chose or printed
    KNOWN = 4  # known to speak HTTP, by its URL in an output, by its command line or by its answer


@dataclass(frozen=True)
class RunningServer:
    """A server that keeps running after the run, for `complete.left`.

    Args:
        pid: the process that listens; of several the oldest.
        command: its command line.
        port: the port.
        log_file: where its output goes, where that is a file.
        call_id: the tool call that left it running, where that is known.
    """

    pid: int
    command: str
    port: int
    log_file: str | None
    call_id: str | None


@dataclass
class Server:
    """What is known about a port.

    Args:
        port: the port.
        seen: when it was first seen to listen; monotonic clock, as `gone`.
        now: its sockets and who holds them.
        gone: since when it does not listen; None while it does.
        announcement: what was printed about it.
        mentioned: whether a tool's call names the port.
        origin: what /proc said about it.
        call_id: the tool call that left it running, where that is known.
        call_log: the log that is kept of that call.
        checked: what it answered to a request that was asked for.
    """

    port: int
    seen: float
    now: OpenPort
    gone: float | None = None
    announcement: Announcement | None = None
    mentioned: bool = False
    origin: Origin = field(default_factory=Origin)
    call_id: str | None = None
    call_log: Path | None = None
    checked: Answer | None = None

    @property
    def pid(self) -> int | None:
        """The leader: the oldest process that listens."""
        return self.now.owners[0].pid if self.now.owners else None

    @property
    def command(self) -> str:
        """Its command line, quoted for a shell."""
        return self.origin.command or ""

    @property
    def log(self) -> Path | None:
        """The file that its output goes to."""
        return self.origin.log or self.call_log

    @property
    def http(self) -> bool | None:
        """Whether it speaks HTTP; None when that is not known."""
        if self.checked in _ANSWERS:
            return _ANSWERS[self.checked]
        known = self.origin.protocol
        if known in ("other", "debugger") or (self.announcement and self.announcement.role == "debugger"):
            return False
        if (self.announcement and self.announcement.web) or (known in ("http", "https")):
            return True
        return None

    @property
    def standing(self) -> Standing:
        """How suitable the server is as `devUrl`; larger values are preferred."""
        if self.http is False:
            return Standing.NOT_HTTP
        helper = self.origin.protocol == "reload" or (
            self.announcement and self.announcement.role == "helper"
        )
        if helper and self.checked is None:
            return Standing.HELPER
        if self.is_unnamed and self.now.loopback and self.checked is None:
            return Standing.HELPER if self.http else Standing.INTERNAL
        if self.http:
            return Standing.KNOWN
        if usual(self.port) in ("other", "debugger"):
            return Standing.HELPER
        return Standing.HELPER if self.is_unnamed else Standing.FIXED

    @property
    def is_unnamed(self) -> bool:
        """Whether the kernel chose the port, and no output or argument names it."""
        return not self._is_chosen and not self.announcement

    @property
    def order(self) -> tuple[int, int]:
        """Sorts servers that came up at the same time."""
        return (self.now.owners[0].start if self.now.owners else 0, self.port)

    @property
    def _is_chosen(self) -> bool:
        return self.origin.names_port or self.mentioned or self.port not in ephemeral_ports()

    def refresh(self, now: OpenPort, root: int) -> None:
        """Take over the sockets of the port, which listens (still, or again).

        `root` is the runtime's pid: nothing above it belongs to the server.
        """
        is_new = self.origin.command is None or self.now.owners[:1] != now.owners[:1]
        if self.now.inodes.isdisjoint(now.inodes):  # restarted, and maybe another program
            self.checked = None
        self.now, self.gone = now, None
        if is_new:
            self.origin = Origin.of(now.owners[0], self.port, root)

    def is_replaced(self, now: OpenPort) -> bool:
        """Return whether the port was closed and opened again, by another program or for other hosts."""
        if not self.now.inodes.isdisjoint(now.inodes):
            return False
        command = command_line(now.owners[0])
        return self.now.loopback != now.loopback or command not in (None, self.origin.command)

    def attribute(self, background: Collection[Background]) -> None:
        """Take the call and the log of what a call left running, if this is it or descends from it."""
        pids = {process.pid for process in self.origin.above}
        for entry in background:
            if entry.pid in pids:
                self.call_id = entry.call_id or None
                self.call_log = Path(entry.log_file) if entry.log_file else None

    async def check(self, seconds: float) -> None:
        """Send one GET request. Done only when the caller asks for it."""
        from agent_runtime.dev_servers.http_check import check

        path = self.announcement.path if self.announcement else ""
        for host in self._hosts():
            self.checked = await check(host, self.port, path=path or "/", seconds=seconds)
            if self.checked != "unreachable":
                break

    def event(self, status: Literal["up", "down"], template: Template) -> DevUrlEvent:
        """Return the `dev_url` event with what is known now."""
        path = self.announcement.path if self.announcement else ""
        scheme = self._scheme()
        return DevUrlEvent(
            url=template.url(self.port, scheme=scheme, path=path),
            port=self.port,
            local_url=local_url(self._hosts()[0], self.port, scheme=scheme, path=path),
            status=status,
            pid=self.pid,
            command=self.command or None,
            log_file=str(self.log) if self.log else None,
            http=self.http,
            loopback_only=self.now.loopback,
        )

    def running(self) -> RunningServer | None:
        """Return its entry in `complete.left`; None for a server that is not the run's."""
        if self.pid is None:
            return None
        log = str(self.log) if self.log else None
        return RunningServer(self.pid, self.command, self.port, log, self.call_id)

    def _scheme(self) -> str:
        if self.checked in ("http", "https"):
            return self.checked
        if self.announcement and self.announcement.web:
            return self.announcement.scheme
        return "https" if "https" in (self.origin.protocol, usual(self.port)) else "http"

    def _hosts(self) -> list[str]:
        """The addresses for a client on this machine: IPv4 before IPv6, wildcard and loopback before the rest."""
        sockets = sorted(self.now.sockets, key=_preference)
        return list(dict.fromkeys(host for socket in sockets for host in socket.hosts()))


def _preference(socket: Listener) -> tuple[int, bool, bytes]:
    return (len(socket.address), any(socket.address) and not socket.loopback, socket.address)


def best(servers: Sequence[Server]) -> Server | None:
    """The one to open, of servers in order of coming up; None when none of them has an address for a person.

    That is the latest of the best standing; of several ports of its process one whose URL is printed, or the first; and
    of what the same call has started rather the front end than its API.
    """
    standing = max((server.standing for server in servers), default=Standing.INTERNAL)
    if standing <= Standing.INTERNAL:
        return None
    equals = [server for server in servers if server.standing == standing]
    latest = equals[-1]
    pages = [s for s in equals if s.origin.serves_pages and s.call_id and s.call_id == latest.call_id]
    candidates = pages or [server for server in equals if server.pid == latest.pid]
    return max(candidates, key=lambda server: bool(server.announcement and server.announcement.web))
