"""Options of the connections to model servers."""

from __future__ import annotations

import socket

KEEP_IDLE = 20.0  # seconds for which an idle connection may be used again: most tools take less

# notices a peer that is gone, and makes NAT gateways keep the connection while the model thinks
TCP_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
)
