"""Sends one GET request to a server of this machine, to find out whether it answers HTTP."""

from __future__ import annotations

from typing import Literal

from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    connect_tcp,
    current_time,
    move_on_after,
)

# other: it answered something else. hung_up: it closed the connection without an answer.
# silent: no answer in time. unreachable: the connection was refused.
Answer = Literal["http", "https", "other", "hung_up", "silent", "unreachable"]
_HEAD_LIMIT = 16 << 10  # bytes of an answer's head that are read
_BODY_LIMIT = 1 << 20
_BODY_SECONDS = 0.5  # a server that is cut off in the middle of its answer may log an error
_WEBSOCKET_ONLY = 426  # Upgrade Required, RFC 9110 section 15.5.22: nothing that a browser could open
_BAD_REQUEST = 400
_TLS_ALERT = b"\x15\x03"


async def check(host: str, port: int, *, path: str = "/", seconds: float) -> Answer:
    """Send `GET path` to a literal address and read the answer, for at most `seconds`. Does not raise."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    fields = (f"GET {path} HTTP/1.1", f"Host: {authority}", "User-Agent: agent-runtime", "Connection: close")
    lost = (OSError, BrokenResourceError, ClosedResourceError, EndOfStream)
    received, connected, ended = bytearray(), False, False
    with move_on_after(seconds) as limit:
        try:
            async with await connect_tcp(host, port) as stream:
                connected = True
                await stream.send("\r\n".join((*fields, "", "")).encode())
                while b"\r\n\r\n" not in received and len(received) < _HEAD_LIMIT:
                    received += await stream.receive()
                limit.deadline = min(limit.deadline, _now() + _BODY_SECONDS)
                while len(received) < _BODY_LIMIT:
                    received += await stream.receive()
        except lost:
            ended = True
    if not connected:
        return "unreachable"
    if not received:
        return "hung_up" if ended else "silent"
    return _judge(bytes(received))


def _judge(answer: bytes) -> Answer:
    if answer.startswith(_TLS_ALERT):
        return "https"
    if not answer.startswith(b"HTTP/") or not answer[9:12].isdigit():
        return "other"
    status = int(answer[9:12])
    # nginx, Apache, Go and others say so in words when plain HTTP arrives at a TLS port
    if status == _BAD_REQUEST and any(word in answer.lower() for word in (b"https", b"ssl", b"tls")):
        return "https"
    return "other" if status == _WEBSOCKET_ONLY else "http"


def _now() -> float:
    return current_time()
