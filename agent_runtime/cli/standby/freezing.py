"""Freezes and thaws all runs of a standby: a socket between the standby and each of its children.

A client that connects and sends `{"action": "freeze"}` or `{"action": "thaw"}` in the place of a request gets one line,
a `notice` with the `runs` in its details, when all runs have done so. The standby never reads from a connection: the
child that was forked for it passes the message up, and the standby passes it to the other children.
"""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_MESSAGE = 1 << 18  # bytes; a thaw may carry an environment
ANSWER_SECONDS = 3.0  # a run is frozen within 2


@dataclass
class _Request:
    """A freeze or thaw that waits for runs."""

    code: str
    until: float
    waits_for: set[int]
    notices: list[dict[str, Any]] = field(default_factory=list)


class RunChannels:
    """The standby's ends of the sockets."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}  # by the pid of the child
        self._requests: dict[int, _Request] = {}  # by the pid of the child that asks
        self._is_frozen = False

    def add(self, pid: int, channel: socket.socket) -> None:
        """Keep the socket to a child. While the standby is frozen, its run is frozen at its start."""
        channel.setblocking(False)
        self._sockets[pid] = channel
        if self._is_frozen:
            _send(channel, {"action": "freeze"})

    def remove(self, pid: int) -> None:
        """Forget a child that has ended."""
        if channel := self._sockets.pop(pid, None):
            channel.close()
        self._requests.pop(pid, None)
        for request in self._requests.values():
            request.waits_for.discard(pid)

    def close(self) -> None:
        """Close all sockets, in a child that has inherited them."""
        for channel in self._sockets.values():
            channel.close()

    def filenos(self) -> list[int]:
        """Return the descriptors to wait for."""
        return [channel.fileno() for channel in self._sockets.values()]

    @property
    def timeout(self) -> float | None:
        """Seconds until a request has to be answered; None when there is none."""
        ends = [request.until for request in self._requests.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def signal(self, action: str) -> None:
        """Freeze or thaw all runs, for a signal."""
        self._is_frozen = action == "freeze"
        for channel in self._sockets.values():
            _send(channel, {"action": action})

    def receive(self, ready: list[int]) -> None:
        """Read from these descriptors, and answer requests that wait for nothing more."""
        for pid, channel in [*self._sockets.items()]:
            if channel.fileno() in ready:
                message = _received(channel)
                if message is not None:
                    self._take(pid, message)
                else:
                    self.remove(pid)
        for pid, request in [*self._requests.items()]:
            if not request.waits_for or time.monotonic() >= request.until:
                self._answer(pid, request)

    def _take(self, pid: int, message: dict[str, Any]) -> None:
        if "action" not in message:
            for request in self._requests.values():
                if pid in request.waits_for and message.get("code") == request.code:
                    request.waits_for.discard(pid)
                    request.notices.append(message)
                    return
            return
        action = message["action"]
        others = {other: channel for other, channel in self._sockets.items() if other != pid}
        others = {other: channel for other, channel in others.items() if other not in self._requests}
        code = "frozen" if action == "freeze" else "thawed"
        if "runId" in message and len(others) > 1:
            error = {
                "code": "invalid_request",
                "message": "runId: expected with one run only; use its own connection",
            }
            _send(self._sockets[pid], {"type": "error", **error})
            return
        self._is_frozen = action == "freeze"
        self._requests[pid] = _Request(code, time.monotonic() + ANSWER_SECONDS, set(others))
        for channel in others.values():
            _send(channel, message)

    def _answer(self, pid: int, request: _Request) -> None:
        del self._requests[pid]
        runs = [{"runId": each["runId"], **each["details"]} for each in request.notices]
        message = f"{len(runs)} runs are {request.code}"
        if request.waits_for:
            message += f", {len(request.waits_for)} have not answered"
        notice = {"type": "notice", "code": request.code, "message": message, "details": {"runs": runs}}
        if channel := self._sockets.get(pid):
            _send(channel, notice)


def ask(channel: socket.socket, message: dict[str, Any]) -> bytes:
    """Pass a client's `freeze` or `thaw` to the standby, and return the line that answers it."""
    _send(channel, message)
    while select.select([channel], [], [], 2 * ANSWER_SECONDS)[0]:
        answer = channel.recv(_MESSAGE)
        if not answer.startswith(b'{"action"'):  # a message of another client to the runs
            return answer + b"\n"
    return b""


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # the child has ended, or reads nothing
        channel.send(json.dumps(message).encode())


def _received(channel: socket.socket) -> dict[str, Any] | None:
    try:
        data = channel.recv(_MESSAGE)
    except OSError:
        return None
    return json.loads(data) if data else None
