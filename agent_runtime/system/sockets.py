"""The listening TCP sockets of this network namespace, by sock_diag or from /proc/net/tcp and tcp6.

The format of the latter is in the kernel's Documentation/networking/proc_net_tcp.rst: hexadecimal address and
port, a state (0A is LISTEN), and the inode by which /proc/PID/fd names the socket. A container inside the sandbox
has a network namespace of its own; its sockets are not listed.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent_runtime.system.sock_diag import listening

_TCP_LISTEN, _UDP_BOUND = b"0A", b"07"
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address inside an IPv6 socket, as the JVM binds them
_LOOPBACK6 = bytes(15) + b"\x01"
_ROW = rb"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ %s (?:\S+ +){5}(\d+)"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket. `address` is packed: 4 or 16 bytes."""

    inode: int
    address: bytes
    port: int
    v6only: bool | None = None  # of a wildcard address: does it accept no IPv4? None: not known

    @property
    def loopback(self) -> bool:
        """Bound where only this machine reaches it: 127.0.0.0/8 or ::1."""
        return self.address == _LOOPBACK6 or (len(self.address) == 4 and self.address[0] == 127)

    def hosts(self) -> list[str]:
        """The literal addresses at which a client on this machine reaches it, best first."""
        if not any(self.address):
            if len(self.address) == 4 or self.v6only is False:
                return ["127.0.0.1"]
            return ["::1"] if self.v6only else ["127.0.0.1", "::1"]
        from socket import AF_INET, AF_INET6, inet_ntop

        return [inet_ntop(AF_INET if len(self.address) == 4 else AF_INET6, self.address)]


def listeners() -> list[Listener]:
    """Every listening TCP socket. Raises OSError when neither sock_diag nor /proc can be read."""
    try:
        rows = listening()
    except OSError:
        return read_listeners()
    return [
        Listener(inode, address.removeprefix(_MAPPED), port, only)
        for address, port, inode, only in rows
        if inode
    ]


def read_listeners() -> list[Listener]:
    """The same from /proc. Raises OSError when that cannot be read."""
    return [
        Listener(int(inode), _unpack(address), int(port, 16))
        for address, port, inode in _rows("tcp", _TCP_LISTEN)
        if inode != b"0"
    ]


@cache
def ephemeral_ports() -> range:
    """The ports that the kernel chooses from when a program asks for any (ip(7), ip_local_port_range)."""
    try:
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return range(int(first), int(last) + 1)
    except (OSError, ValueError):
        return range(32768, 61000)


def udp_ports() -> set[int]:
    """The ports that UDP sockets are bound to. Raises OSError when /proc cannot be read."""
    return {int(port, 16) for _, port, _ in _rows("udp", _UDP_BOUND)}


def _rows(protocol: str, state: bytes) -> list[tuple[bytes, bytes, bytes]]:
    row = re.compile(_ROW % state, re.MULTILINE)
    rows = row.findall(Path(f"/proc/net/{protocol}").read_bytes())
    try:
        return rows + row.findall(Path(f"/proc/net/{protocol}6").read_bytes())
    except FileNotFoundError:  # a kernel without IPv6
        return rows


def _unpack(text: bytes) -> bytes:
    """Addresses are written as 32-bit words in the byte order of the machine."""
    words = (int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8))
    return b"".join(words).removeprefix(_MAPPED)


def known_listeners() -> list[Listener]:
    """Return the listening sockets; none where the kernel does not say what is listened on."""
    try:
        return listeners()
    except OSError:
        return []
