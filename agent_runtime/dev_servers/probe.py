"""Does a listening port speak HTTP? One HEAD request, and one over TLS when the answer was no HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ssl import SSLContext

# other: it answered, or hung up, without HTTP. silent: it took the connection and said nothing in time.
Answer = Literal["http", "https", "other", "silent", "unreachable"]
_HEAD_LIMIT = 16 << 10  # bytes of an answer's head that are read
_WEBSOCKET_ONLY = 426  # Upgrade Required, RFC 9110 section 15.5.22: nothing that a browser could open
_BAD_REQUEST = 400  # also what nginx and Go say to plain HTTP on a TLS port


async def probe(host: str, port: int, *, path: str = "/", budget: float) -> Answer:
    """Ask the server at a literal address, within `budget` seconds. Never raises for what a server does."""
    from anyio import move_on_after

    answer: Answer = "silent"
    with move_on_after(budget):
        status = await _head(host, port, path, tls=False)
        if status is None:
            return "unreachable"
        answer = "http" if status not in (0, _WEBSOCKET_ONLY) else "other"
        if status in (0, _BAD_REQUEST) and await _head(host, port, path, tls=True):
            return "https"
    return answer


async def _head(host: str, port: int, path: str, *, tls: bool) -> int | None:
    """The status of the answer; 0 when it is no HTTP, None when nobody takes the connection."""
    from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, connect_tcp

    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    fields = (f"HEAD {path} HTTP/1.1", f"Host: {authority}", "User-Agent: agent-runtime", "Connection: close")
    lost = (OSError, BrokenResourceError, ClosedResourceError, EndOfStream)
    try:
        stream = await (
            connect_tcp(host, port, ssl_context=_trusting(), tls_standard_compatible=False)
            if tls
            else connect_tcp(host, port)
        )
    except lost:
        return None
    head = b""
    async with stream:
        try:
            await stream.send("\r\n".join((*fields, "", "")).encode())
            # the whole head is read: a server that is cut off in the midst of its answer logs a traceback
            while b"\r\n\r\n" not in head and len(head) < _HEAD_LIMIT:
                head += await stream.receive()
        except lost:
            pass  # what came before the end is the answer
    return int(head[9:12]) if head[:5] == b"HTTP/" and head[9:12].isdigit() else 0


def _trusting() -> SSLContext:
    """A TLS context that takes any certificate: the question goes to this machine and carries nothing."""
    from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, SSLContext

    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context
