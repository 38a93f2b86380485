"""A reliable sequence of JSON messages over a byte stream that may be cut and opened again, such as virtio-serial.

Both ends use the same class. It does no I/O: it is given what was read, and returns what is to be written. Each message
is one line and has a number; it is kept until the other end has it, and sent again after a new connection. An end that
has started again takes over the numbers of its predecessor; what that has acknowledged is not sent again. The Python
standard library is all that this module needs: it is copied into the image.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

Message = dict[str, Any]

WINDOW = 4 << 20  # bytes that may be under way; more have to wait in the sender (back pressure)
MAX_LINE = 128 << 20  # bytes; a longer line is not a message


class Link:
    """One end.

    Attributes:
        outgoing: bytes to be written, in order; the caller removes what it has written.
    """

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self._sent = self._received = 0  # the last numbers
        self._kept: deque[tuple[int, bytes]] = deque()
        self._under_way = 0
        self._begun = bytearray()  # an incomplete line

    @property
    def has_room(self) -> bool:
        """Whether more should be sent now."""
        return self._under_way < WINDOW

    def copy(self) -> Link:
        """Return an end in the same state, for a fork of the other end."""
        other = Link()
        other._sent, other._received = self._sent, self._received
        other._kept, other._under_way = deque(self._kept), self._under_way
        return other

    def send(self, message: Message) -> None:
        """Send a message."""
        self.outgoing += self._keep(b'"m":' + json.dumps(message, separators=(",", ":")).encode() + b"}\n")

    def connect(self) -> None:
        """Begin on a new connection: what was not written to the old one is dropped, and sent again when asked for."""
        self._begun = bytearray()
        self.outgoing = bytearray(b"\n")  # ends the line that the old connection may have begun
        self._say({"hello": self._received, "acknowledged": self._acknowledged})

    def feed(self, data: bytes) -> list[Message]:
        """Take what was read. Returns the messages in it, each once and in order. What is not a message is ignored."""
        self._begun += data
        if b"\n" not in data:
            if len(self._begun) > MAX_LINE:
                self._begun = bytearray(b"!")  # makes the rest of the line invalid
            return []
        *lines, self._begun = self._begun.split(b"\n")
        messages = []
        for line in lines:
            try:
                packet = json.loads(line)
            except (ValueError, RecursionError):  # empty, cut by the end of a connection, or garbage
                continue
            if isinstance(packet, dict):
                messages += self._take(packet)
        if messages:
            self._say({"ack": self._received})
        return messages

    def _take(self, packet: dict[str, Any]) -> list[Message]:
        match packet:
            case {"n": int(number), "m": dict(message)} if number == self._received + 1:
                self._received = number
                return [message]
            case {"ack": int(number)}:
                self._forget(number)
            case {"hello": int(number)}:
                acknowledged = packet.get("acknowledged")
                if isinstance(acknowledged, int):  # by a predecessor of this end
                    self._received = max(self._received, acknowledged)
                if number > self._sent:
                    self._renumber(number)
                self._forget(number)
                self.outgoing = bytearray(b"\n")
                if not packet.get("reply"):
                    self._say({"hello": self._received, "acknowledged": self._acknowledged, "reply": True})
                for _, line in self._kept:
                    self.outgoing += line
        return []

    @property
    def _acknowledged(self) -> int:
        return self._kept[0][0] - 1 if self._kept else self._sent

    def _renumber(self, last: int) -> None:
        """Number what is kept behind the messages of a predecessor."""
        lines = [line for _, line in self._kept]
        self._kept, self._sent, self._under_way = deque(), last, 0
        for line in lines:
            self._keep(line[line.index(b'"m":') :])

    def _keep(self, rest: bytes) -> bytes:
        self._sent += 1
        line = b'{"n":%d,' % self._sent + rest
        self._kept.append((self._sent, line))
        self._under_way += len(line)
        return line

    def _forget(self, number: int) -> None:
        while self._kept and self._kept[0][0] <= number:
            self._under_way -= len(self._kept.popleft()[1])

    def _say(self, packet: dict[str, Any]) -> None:
        self.outgoing += json.dumps(packet).encode() + b"\n"
