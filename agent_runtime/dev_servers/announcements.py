"""Finds the URLs and ports that servers print, in their logs and in the output of tools."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent_runtime.lazy import lazy_pattern
from agent_runtime.shell.ansi import strip_escapes

# app: an address to open. helper: an API, a reload channel, the target of a proxy. debugger: an inspector.
Role = Literal["app", "helper", "debugger"]

_CHUNK = 64 << 10  # bytes of a log that are read at once; of more than that, the last
_AGE = 10.0  # seconds: a tool's output is about servers that came up so long before or after it
_BEFORE = 200  # characters before a URL that are looked at
_PATH_LIMIT = 200  # characters of a path; a longer one is not a base path
_HOST = r"(?:(?:[\w-]+\.)*localhost|(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-fA-F:.]*\]|%s)"
_ADDRESS = (
    r"\b(?P<scheme>[a-z][a-z0-9+.-]{1,15})://%(host)s(?::(?P<port>\d{1,5}))?(?P<path>/[^\s?#\"'<>`()\[\]{}|\\,;*]*)?"
    r"|(?<![\w.:/@-])%(host)s:(?P<bare>\d{1,5})\b"
    r"|\bport(?:\s+|\s*[:=]\s*|\s+is\s+)(?P<named>\d{2,5})\b"
    r"|\bon\s+\*?:(?P<any>\d{2,5})\b"
)
# logged or typed requests, complaints about a port, and tables of sockets announce nothing
_REQUEST = lazy_pattern(r"\b(?:curl|wget|fetch|GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT)\b[^:]*$")
_COMPLAINT = lazy_pattern(
    r"in use|EADDRINUSE|already|taken|not available|unavailable|trying|refused|ECONN|failed|stopp|clos", re.I
)
_WEB = ("http", "https")
_TABLE = lazy_pattern(r"\bLISTEN\b|\bESTAB|\b[A-Z]+_WAIT")  # of sockets, by ss, netstat or lsof
_PLAIN = ("", "tcp", "ssl")  # what application servers print for an address that they listen on
_DEBUGGER = lazy_pattern(r"debug|inspect|devtools|jdwp|pdb", re.I)
_HELPER = lazy_pattern(
    r"(?<![a-z])(?:api|graphql|swagger|metrics|prometheus|health\w*|hmr|live ?-?reload|web ?sockets?|prox(?:y|ied|ying)"
    r"|backend|upstream|mock|g?rpc|webhooks?|admin|callback|redirect\w*|database|db|smtp)(?![a-z])|\bUI(?: External)?:",
    re.I,
)
_HELPER_PATH = lazy_pattern(r"/(?:api|graphql|metrics|health\w*|json|ws|rpc)(?:/|$)", re.I)


@dataclass(frozen=True, slots=True)
class Announcement:
    """An address of this machine in a program's output.

    Args:
        port: the port.
        scheme: in lower case; "" where only the port, or host and port, are printed.
        path: the base path; "" for the root.
        role: what the address is for, by the words around it.
    """

    port: int
    scheme: str = ""
    path: str = ""
    role: Role = "app"

    @property
    def web(self) -> bool:
        """Whether it is a URL for a browser."""
        return self.scheme in _WEB and self.role != "debugger"

    @property
    def rank(self) -> tuple[bool, bool]:
        """The rank among what is printed for one port; of equal ones the first counts."""
        return (self.role != "helper", self.web or self.role == "debugger")


def announced(text: str) -> Iterator[Announcement]:
    """The addresses of this machine that a server's output announces, in order."""
    from os import uname

    if ":" not in text and "port" not in text.lower():
        return  # so are most outputs, and the pattern takes a while to compile
    plain = strip_escapes(text)
    pattern = _ADDRESS % {"host": _HOST % re.escape(uname().nodename)}
    for found in re.finditer(pattern, plain, re.IGNORECASE):
        before = plain[max(0, found.start() - _BEFORE) : found.start()].rpartition("\n")[2]
        line = before + plain[found.start() : found.end() + _BEFORE].partition("\n")[0]
        if _REQUEST.search(before):
            continue
        scheme, port, path = (found["scheme"] or "").lower(), found["port"], found["path"] or ""
        if not scheme and (_COMPLAINT.search(line) or _TABLE.search(line)):
            continue
        number = int(
            port or found["bare"] or found["named"] or found["any"] or (scheme == "https" and 443) or 80
        )
        path = path.rstrip(".:!")
        if number <= 65535 and len(path) <= _PATH_LIMIT:
            base = path if path != "/" and scheme in _WEB else ""
            yield Announcement(number, scheme, base, _role(before, scheme, path))


def _role(label: str, scheme: str, path: str) -> Role:
    web = scheme in _WEB
    if not web and _DEBUGGER.search(label):  # an inspector with a page of its own is an app
        return "debugger"
    if _HELPER.search(label) or _HELPER_PATH.match(path) or not (web or scheme in _PLAIN):
        return "helper"
    return "app"


class Log:
    """The announcements of one log file, read as it grows. Nothing is raised for a file that cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[int, Announcement] = {}
        self._offset = 0  # of what has not been looked at: the beginning of a line
        self._size = -1

    def update(self) -> None:
        """Read the new part of the log."""
        try:
            size = self.path.stat().st_size
            if size == self._size == self._offset:
                return
            if size < self._offset:
                self._offset = 0  # truncated, or another file
            self._offset = max(self._offset, size - _CHUNK)
            with self.path.open("rb") as file:
                file.seek(self._offset)
                text = file.read(_CHUNK)
        except OSError:
            return
        # a line without an end may be half of a URL: it counts when the file stands still
        whole = len(text) if size == self._size else text.rfind(b"\n") + 1
        _keep(self._found, announced(text[:whole].decode(errors="replace")))
        self._offset, self._size = self._offset + whole, size

    def of(self, port: int) -> Announcement | None:
        """What it announces for a port: the first address that is an app's, else the first."""
        return self._found.get(port)


class Announcements:
    """The addresses in all output: logs of servers, and outputs of tools."""

    def __init__(self) -> None:
        self._logs: dict[Path, Log] = {}
        self._heard: dict[int, tuple[float, Announcement]] = {}
        self._texts: tuple[str, ...] = ()

    def hear(self, text: str) -> None:
        """Learn from the output of a tool."""
        now, found = time.monotonic(), dict[int, Announcement]()
        _keep(found, announced(text))
        for port, announcement in found.items():
            when, earlier = self._heard.get(port, (now - _AGE, announcement))
            if now - when >= _AGE or announcement.rank > earlier.rank:
                self._heard[port] = (now, announcement)

    def listen(self, texts: Iterable[str]) -> None:
        """Learn from calls under way: the end of what each has printed so far."""
        current = tuple(texts)
        for text in current:
            if text not in self._texts:
                self.hear(text)
        self._texts = current

    def of(self, port: int, log: Path | None, seen: float) -> Announcement | None:
        """What is printed about a server: by its log, or, where it has none, by a tool about that time."""
        if log:
            self._logs.setdefault(log, Log(log)).update()
            return self._logs[log].of(port)
        when, announcement = self._heard.get(port, (seen - _AGE, None))
        return announcement if abs(when - seen) < _AGE else None

    def forget(self, port: int) -> None:
        """Forget what tools printed about a server that has ended."""
        self._heard.pop(port, None)


def _keep(found: dict[int, Announcement], new: Iterable[Announcement]) -> None:
    for announcement in new:
        earlier = found.get(announcement.port)
        if earlier is None or announcement.rank > earlier.rank:
            found[announcement.port] = announcement
