"""The texts about dev servers for the model. They are true when they are written, and bounded in size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from agent_runtime.dev_servers.server import Server, Standing
from agent_runtime.dev_servers.urls import Template
from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.sockets import udp_ports

_NAMED = 8  # servers that get a line of their own
_LISTED = 20  # ports, or ranges of ports, in a list
_TEXT_LIMIT = 200  # characters of a command line
_BIND = (
    "Only processes inside the sandbox can reach a server that is bound to the loopback interface. To share it, "
    "restart it bound to all interfaces, usually with `--host 0.0.0.0` (`--bind 0.0.0.0` for python -m "
    "http.server, `-H 0.0.0.0` for next, `listen(port, '0.0.0.0')` in code)."
)


class Changes:
    """What has not been reported to the model yet: servers that came up, and servers that ended."""

    def __init__(self) -> None:
        self._last: dict[int, DevUrlEvent] = {}  # the last event of each port

    def came_up(self, event: DevUrlEvent) -> None:
        """Note that a server is up."""
        self._last[event.port] = event

    def ended(self, event: DevUrlEvent, *, is_unnamed: bool) -> None:
        """Note that a server has ended.

        One on an ephemeral port that was never reported belongs to a test, and is ignored.
        """
        if self._last.pop(event.port, None) is None or not is_unnamed:
            self._last[event.port] = event

    def known(self, port: int) -> None:
        """Do not report this server: the model knows it from another text."""
        self._last.pop(port, None)

    def take(self, servers: Collection[Server], template: Template) -> str:
        """Describe the changes, in the current state; "" when there are none.

        Args:
            servers: those that are up, and those that do not listen at the moment and may come back, which
                a later text describes.
            template: makes the public URLs.
        """
        up = [server for server in servers if server.port in self._last and server.gone is None]
        down = [event for event in self._last.values() if event.status == "down"]
        going = {server.port for server in servers if server.gone is not None}
        self._last = {
            port: last for port, last in self._last.items() if port in going and last.status == "up"
        }
        return advise(up, down, template)


def advise(up: Sequence[Server], ended: Sequence[DevUrlEvent], template: Template) -> str:
    """The servers that have come up and are up, and those that have ended, since the last report to the model.

    Args:
        up: those that listen now.
        ended: what they were.
        template: makes the public URLs.
    """
    open_to_people = [server for server in up if server.standing > Standing.INTERNAL]
    # internal ports beside an app are not reported
    named = [server for server in up if not server.is_unnamed] if open_to_people else list(up)
    named.sort(key=lambda server: (-server.standing, server.port))
    lines = [_listening(server.event("up", template)) for server in named[:_NAMED]]
    if len(named) > _NAMED:
        lines.append(f"Servers are also listening on {_ports([server.port for server in named[_NAMED:]])}.")
    if closed := [server.port for server in open_to_people if server.now.loopback]:
        lines.append(f"Bound to the loopback interface: {_ports(closed)}. {_BIND}")
    lines += [f"The server on port {e.port} (pid {e.pid}) has stopped listening." for e in ended[:_NAMED]]
    if len(ended) > _NAMED:
        lines.append(f"Stopped listening as well: {_ports([event.port for event in ended[_NAMED:]])}.")
    return "\n".join(lines)


def describe(server: Server, template: Template) -> str:
    """Describe the addresses of a server, and why it may not be reachable from outside."""
    event = server.event("up", template)
    inside = "" if event.url == event.local_url else f" (inside the sandbox: {event.local_url})"
    lines = [event.url + inside]
    if server.checked == "silent":
        lines.append(
            "It accepts connections and has not answered an HTTP request in time: it may still be starting."
        )
    elif server.checked == "hung_up":
        lines.append(
            "It closed the connection without an HTTP answer: it may expect HTTPS or another protocol."
        )
    elif server.checked == "unreachable":
        lines.append("It did not accept a connection.")
    elif event.http is None:
        lines.append(
            "Whether it speaks HTTP is not known: no request was sent to it (`check: true` sends one)."
        )
    elif not event.http:
        lines.append("It does not speak HTTP.")
    if event.loopback_only:
        lines.append(_BIND)
    return "\n".join(lines)


def absence(
    port: int | None, up: Sequence[Server], stopped: DevUrlEvent | None, others: Sequence[int]
) -> str:
    """Why a port (or, without one, the run) has no URL; `others` are the ports of what is not the run's."""
    lines = [f"Nothing listens on TCP port {port}." if port else "No HTTP server of this run is listening."]
    if stopped:
        log = f"; its log: {stopped.log_file}" if stopped.log_file else ""
        command = (stopped.command or "")[:_TEXT_LIMIT]
        lines.append(f"The server that did has exited or closed it: {command}, pid {stopped.pid}{log}.")
    if port and port in _udp_ports():
        lines.append("A UDP socket is bound to that port, which is not an HTTP server.")
    if up:
        listed = "; ".join(f"{s.port} ({s.command[:_TEXT_LIMIT] or f'pid {s.pid}'})" for s in up[:_NAMED])
        more = f" and {_ports([s.port for s in up[_NAMED:]])}" if len(up) > _NAMED else ""
        lines.append(f"These ports of the run do listen: {listed}{more}.")
    else:
        lines.append("No server that this run started is up: start one in the background, and read its log.")
    if others:
        lines.append(f"Listening, but not started by this run: {_ports(others)}.")
    return "\n".join(lines)


def _listening(event: DevUrlEvent) -> str:
    if event.http is False:
        return f"Port {event.port} (pid {event.pid}) is open, not for HTTP."
    inside = "" if event.url == event.local_url else f" (inside the sandbox: {event.local_url})"
    return f"A server is listening on port {event.port} (pid {event.pid}): {event.url}{inside}"


def _ports(ports: Iterable[int]) -> str:
    """Ports for a sentence, neighbours as a range."""
    ranges: list[tuple[int, int]] = []
    for port in sorted(ports):
        if ranges and port <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], port)
        else:
            ranges.append((port, port))
    listed = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:_LISTED]]
    left_out = sum(last - first + 1 for first, last in ranges[_LISTED:])
    noun = "port" if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else "ports"
    return f"{noun} {', '.join(listed)}" + (f" and {left_out} more" if left_out else "")


def _udp_ports() -> set[int]:
    try:
        return udp_ports()
    except OSError:
        return set()
