"""A reliable sequence of JSON messages over a byte stream that may be cut and opened again, such as virtio-serial.

Both ends use the same class. It does no I/O: it is given what was read, and returns what is to be written. Each message
is one line and has a number; it is kept until the other end has it, and sent again after a new connection. The Python
standard library is all that this module needs: it is copied into the image.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

Message = dict[str, Any]

WINDOW = 4 << 20  # bytes that may be under way; more have to wait in the sender (back pressure)


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
        self._begun = b""  # an incomplete line

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
        self._sent += 1
        line = json.dumps({"n": self._sent, "m": message}, separators=(",", ":")).encode() + b"\n"
        self._kept.append((self._sent, line))
        self._under_way += len(line)
        self.outgoing += line

    def connect(self) -> None:
        """Begin on a new connection: what was not written to the old one is dropped, and sent again when asked for."""
        self._begun = b""
        self.outgoing = bytearray(b"\n")  # ends the line that the old connection may have begun
        self._say({"hello": self._received})

    def feed(self, data: bytes) -> list[Message]:
        """Take what was read. Returns the messages in it, each once and in order."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        messages = []
        for line in lines:
            try:
                packet = json.loads(line)
            except ValueError:  # empty, or cut by the end of a connection
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
                self._forget(number)
                self.outgoing = bytearray(b"\n")
                if not packet.get("reply"):
                    self._say({"hello": self._received, "reply": True})
                for _, line in self._kept:
                    self.outgoing += line
        return []

    def _forget(self, number: int) -> None:
        while self._kept and self._kept[0][0] <= number:
            self._under_way -= len(self._kept.popleft()[1])

    def _say(self, packet: dict[str, Any]) -> None:
        self.outgoing += json.dumps(packet).encode() + b"\n"
