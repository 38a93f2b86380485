"""What the model is told about dev servers, in words."""

from __future__ import annotations

from collections.abc import Sequence

from agent_runtime.protocol.events import DevUrlEvent
from agent_runtime.system.sockets import udp_ports

_BIND = (
    "It listens on the loopback interface only, so nobody outside of the sandbox can reach it. To share it, "
    "restart it bound to all interfaces, usually with `--host 0.0.0.0` (`--bind 0.0.0.0` for python -m "
    "http.server, `-H 0.0.0.0` for next, `listen(port, '0.0.0.0')` in code)."
)


def advise(event: DevUrlEvent) -> str:
    """A line on a server that came or went, with advice when the outside cannot reach it."""
    if event.status == "down":
        return f"The server on port {event.port} (pid {event.pid}) has stopped listening."
    return f"A server is listening on port {event.port} (pid {event.pid}): {describe(event)}"


def describe(event: DevUrlEvent) -> str:
    """The addresses of a server, and what stands between it and a visitor."""
    inside = "" if event.url == event.local_url else f" (inside the sandbox: {event.local_url})"
    parts = [event.url + inside]
    if event.http is None:
        parts.append("It has not answered an HTTP request yet.")
    elif not event.http:
        parts.append("It does not answer HTTP.")
    if event.loopback_only:
        parts.append(_BIND)
    return "\n".join(parts)


def absence(
    port: int | None, up: Sequence[DevUrlEvent], stopped: DevUrlEvent | None, strangers: Sequence[int]
) -> str:
    """Why a port (or, without one, the run) has no URL; `strangers` are the ports that others listen on."""
    facts = [f"Nothing listens on TCP port {port}." if port else "No HTTP server of this run is listening."]
    if stopped:
        log = f"; its log: {stopped.log_file}" if stopped.log_file else ""
        facts.append(
            f"The server that did has exited or closed it: {stopped.command}, pid {stopped.pid}{log}."
        )
    if port and port in _udp_ports():
        facts.append("A UDP socket is bound to that port: that is no HTTP server.")
    if up:
        ports = ", ".join(f"{event.port} ({event.command or 'pid ' + str(event.pid)})" for event in up)
        facts.append(f"These ports of the run do listen: {ports}.")
    else:
        facts.append("No server started by this run is up: start one in the background, and look at its log.")
    if strangers:
        facts.append(f"Ports of servers that this run did not start: {', '.join(map(str, strangers))}.")
    return "\n".join(facts)


def _udp_ports() -> set[int]:
    try:
        return udp_ports()
    except OSError:
        return set()
