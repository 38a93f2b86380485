"""HTTP/1.1 to one origin without a proxy, by anyio and h11: what nearly all model requests need.

httpx2 takes 50 ms to import, and twice as long as this for each request; see `httpx_client` for what it is needed for.
"""

from __future__ import annotations

import re
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urljoin

import anyio
import h11
from anyio.abc import ByteStream

from agent_runtime.errors import ProviderError
from agent_runtime.providers.address import without_userinfo
from agent_runtime.providers.content_coding import ContentDecoder
from agent_runtime.providers.direct_connection import Connection, ConnectionFailed
from agent_runtime.providers.http_errors import invalid_event, not_connected, not_sent, timed_out

_PLAIN_URL = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?(/[\w.~/:@%+,=-]*)", re.ASCII)
_MAX_REDIRECTS = 10


class ConnectTimeout(Exception):
    """A connection was not made in time."""


class DirectClient:
    """The connections to the origin of a URL.

    Args:
        url: of the endpoint; see `can_reach`.
        address: the base URL of the endpoint, for messages.
        connect_timeout: seconds until a connection is established, its TLS handshake included.
        tls: returns the certificates to trust; called for https, once.

    Raises:
        OSError: the certificates cannot be read.
    """

    def __init__(
        self, url: str, *, address: str, connect_timeout: float, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        plain = _PLAIN_URL.fullmatch(url)
        if plain is None:
            raise ValueError(f"expected a URL without a query and a user: {url!r}")
        scheme, host, port, self._target = plain.groups()
        self._origin, self._address = url.removesuffix(self._target), address
        self._tls = tls() if scheme == "https" else None
        self._host, self._port = host.strip("[]"), int(port or (443 if self._tls else 80))
        self._host_header = host if port is None else f"{host}:{port}"
        self._connect_timeout = connect_timeout
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    @staticmethod
    def can_reach(url: str) -> bool:
        """Return whether this client can send to the URL: it is plain, without a query, a user or other alphabets."""
        return _PLAIN_URL.fullmatch(url) is not None

    async def post(self, content: bytes, headers: Mapping[str, str]) -> DirectResponse:
        """Send a request, also to where the server redirects it within the origin, for which alone the key is meant.

        Raises ConnectionFailed, ConnectTimeout, h11.ProtocolError, UnicodeEncodeError; ProviderError for a redirect
        to another origin.
        """
        target = self._target
        for _ in range(_MAX_REDIRECTS):
            response = await self._send(target, content, headers)
            location = response.headers.get("location")
            if location is None or not 300 <= response.status_code < 400:
                return response
            await response.aclose()
            target = self._redirected(target, location)
        raise ProviderError("provider_error", f"{self._address} redirects too often", retryable=False)

    async def _send(self, target: str, content: bytes, headers: Mapping[str, str]) -> DirectResponse:
        given = {
            "host": self._host_header,
            "accept-encoding": "gzip, deflate",
            "connection": "keep-alive",
            **headers,
            "content-length": str(len(content)),
        }
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in given.items()]
        request = h11.Request(method="POST", target=target, headers=encoded)
        connection = await self._take_idle() or await self._connect()
        try:
            head = await connection.send(request, content)
        except BaseException:
            await self._close(connection)
            raise
        return DirectResponse(head, connection, self._end)

    def _redirected(self, target: str, location: str) -> str:
        """Return the target of a redirect. Raises ProviderError when it is not one that this client can reach."""
        url = urljoin(self._origin + target, location)
        plain = _PLAIN_URL.fullmatch(url)
        if plain is None or url.removesuffix(plain[4]) != self._origin:
            message = f"{self._address} redirects to {without_userinfo(url)}; use that as the base URL"
            raise ProviderError("provider_error", message, retryable=False)
        return plain[4]

    def error(self, error: Exception) -> ProviderError | None:
        """See HttpClient."""
        address = self._address
        if isinstance(error, ConnectTimeout):
            return timed_out(f"connecting to {address}", error, {"limit": "connectTimeout"})
        if isinstance(error, ConnectionFailed | h11.RemoteProtocolError):
            return not_connected(address, error)
        if isinstance(error, h11.LocalProtocolError | UnicodeEncodeError):
            return not_sent(error)
        return invalid_event(error) if isinstance(error, zlib.error) else None

    async def aclose(self) -> None:
        """Close all connections; a response that is being read fails."""
        self._idle.clear()
        for connection in list(self._open):
            await self._close(connection)

    async def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            await self._close(connection)
        return None

    async def _connect(self) -> Connection:
        try:
            with anyio.fail_after(self._connect_timeout):
                stream = await self._stream()
        except TimeoutError as error:
            raise ConnectTimeout(str(error)) from error
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise ConnectionFailed(str(error)) from error
        connection = Connection(stream)
        self._open.add(connection)
        return connection

    async def _stream(self) -> ByteStream:
        if self._tls is None:
            return await anyio.connect_tcp(self._host, self._port)
        return await anyio.connect_tcp(
            self._host,
            self._port,
            ssl_context=self._tls,
            tls_hostname=self._host,
            tls_standard_compatible=False,
        )

    async def _end(self, connection: Connection) -> None:
        if connection in self._open and connection.start_next():
            self._idle.append(connection)
        else:
            await self._close(connection)

    async def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        with anyio.CancelScope(shield=True):
            await connection.aclose()


class DirectResponse:
    """See HttpResponse."""

    def __init__(self, head: h11.Response, connection: Connection, end: Callable[[Connection], Any]) -> None:
        self.status_code = head.status_code
        self.reason_phrase = head.reason.decode("ascii", "replace")
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        self._connection, self._end = connection, end
        self._is_closed = False

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body. Raises ConnectionFailed, h11.RemoteProtocolError, zlib.error."""
        decoder = ContentDecoder(self.headers.get("content-encoding", ""))
        while isinstance(event := await self._connection.next_event(), h11.Data):
            if piece := decoder.decode(bytes(event.data)):
                yield piece

    async def aclose(self) -> None:
        """See HttpResponse."""
        if not self._is_closed:
            self._is_closed = True
            await self._end(self._connection)
