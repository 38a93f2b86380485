"""Ports that are free, and stay free until a server of the test takes them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager


class ReservedPort:
    """A port of 127.0.0.1 that the kernel gives to nobody else: it is bound, and does not listen.

    A server that sets SO_REUSEADDR, as asyncio and Go do, can listen on it all the same, also again after it was
    killed. Until then connections are refused.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


@contextmanager
def reserved_port() -> Iterator[int]:
    """The number of a port that is reserved until the end of the context."""
    with closing(ReservedPort()) as port:
        yield port.number
