"""The byte stream to the host: the virtio-serial port `org.agent.0`, or a vsock connection that the host opens."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Any

from link import Link  # pyright: ignore[reportMissingImports] -- beside this file in the image

_RETRY = 0.05  # seconds between two attempts to reach a host that is not connected


class Channel:
    """One end of a Link over the stream.

    Args:
        fd: the stream, where it is always there.
        listener: where the host connects, otherwise.
    """

    def __init__(self, *, fd: int = -1, listener: socket.socket | None = None) -> None:
        self.link = Link()
        self._listener, self._fd = listener, fd
        if fd >= 0:
            self.link.connect()

    def watched(self) -> dict[int, int]:
        """Return the descriptors to wait for, with the flags of poll."""
        found = {self._listener.fileno(): select.POLLIN} if self._listener else {}
        if self._fd >= 0:
            found[self._fd] = select.POLLIN | (select.POLLOUT if self.link.outgoing else 0)
        return found

    def handle(self, fd: int, flags: int) -> list[dict[str, Any]]:
        """Read and write what is possible. Returns the messages that have arrived."""
        if self._listener and fd == self._listener.fileno():
            self._close()
            self._fd = self._listener.accept()[0].detach()
            os.set_blocking(self._fd, False)
            self.link.connect()
            return []
        data = b""
        try:
            if flags & select.POLLIN:
                data = os.read(fd, 1 << 16)
            if flags & select.POLLOUT:
                del self.link.outgoing[: os.write(fd, self.link.outgoing[: 1 << 15])]
        except BlockingIOError:
            pass
        except OSError:
            flags |= select.POLLHUP
        if not data and flags & (select.POLLHUP | select.POLLIN):
            if self._listener:
                self._close()
            else:  # the host is not connected to the port
                time.sleep(_RETRY)
        return self.link.feed(data)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_channel(vsock: int | None) -> Channel:
    """Open the channel: listen on this port of vsock, or use the virtio-serial port. Raises OSError."""
    if vsock is None:
        return Channel(fd=os.open(_port(), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((socket.VMADDR_CID_ANY, vsock))
    listener.listen(1)
    return Channel(listener=listener)


def _port() -> str:
    """Return the device of the virtio-serial port, which may take a moment to appear."""
    while True:
        for name in Path("/sys/class/virtio-ports").glob("*/name"):
            if name.read_text().strip() == "org.agent.0":
                return f"/dev/{name.parent.name}"
        time.sleep(0.01)
