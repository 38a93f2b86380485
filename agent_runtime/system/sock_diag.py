"""The listening TCP sockets as the kernel's sock_diag reports them: see sock_diag(7) and linux/inet_diag.h.

The kernel visits the listening sockets alone, which takes microseconds; for /proc/net/tcp it visits the whole table
of connections, megabytes of it on a machine with much memory.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from functools import lru_cache

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_TCP_LISTEN = 10
_INET_DIAG_SKV6ONLY = 11

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_REQUEST = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, extensions, states, any address
# inet_diag_msg: source port (big-endian), source address, inode; fields in between are skipped
_MESSAGE = struct.Struct("=4xH2x16s16x12x16xI")
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TIMEOUT = 1.0  # seconds; the kernel answers immediately or not at all

Row = tuple[bytes, int, int, "bool | None"]  # packed address, port, inode, IPv6 only (None: not reported)


def listening() -> list[Row]:
    """Every listening TCP socket of the network namespace. Raises OSError where sock_diag is missing."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_TIMEOUT)
        return [row for family in (socket.AF_INET, socket.AF_INET6) for row in _dump(netlink, family)]


def _dump(netlink: socket.socket, family: int) -> Iterator[Row]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << _TCP_LISTEN)
    netlink.send(
        _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, family, 0) + request
    )
    while True:
        data = memoryview(netlink.recv(1 << 16))
        while data:
            length, kind, _, sequence, _ = _HEADER.unpack_from(data)
            body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
            if sequence != family:
                continue
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "sock_diag")
            yield _row(family, bytes(body))


@lru_cache(maxsize=1024)  # most sockets are there at every look
def _row(family: int, body: bytes) -> Row:
    port, address, inode = _MESSAGE.unpack_from(body)
    size = 4 if family == socket.AF_INET else 16
    only, rest = None, body[_MESSAGE.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if kind == _INET_DIAG_SKV6ONLY:
            only = bool(rest[_ATTRIBUTE.size])
        rest = rest[max(_ATTRIBUTE.size, (length + 3) & ~3) :]
    return address[:size], socket.ntohs(port), inode, only
