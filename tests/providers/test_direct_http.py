"""The direct client and that of httpx2 read every response alike, and reuse connections as long as they are open."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from agent_runtime.providers.direct_http import DirectClient
from agent_runtime.providers.http_errors import other_error
from agent_runtime.providers.http_response import HttpClient
from agent_runtime.providers.httpx_client import HttpxClient
from agent_runtime.providers.tls import trusted
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

BODY = b"data: {}\n\n" * 30
OK = b"HTTP/1.1 200 OK\r\n"


def sized(body: bytes, head: bytes = OK, more: str = "") -> bytes:
    return head + f"{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + body + end


# what a server writes to a request before it closes the connection
ANSWERS = {
    "sized": sized(BODY),
    "no body": sized(b""),
    "chunked": chunked(BODY, BODY),
    "chunked, in small pieces": chunked(*(bytes([byte]) for byte in BODY)),
    "chunked, with a trailer": chunked(BODY, end=b"0\r\nx-checksum: 1\r\n\r\n"),
    "until the end of the connection": OK + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "no reason": sized(BODY, b"HTTP/1.1 200 \r\n"),
    "gzip": sized(gzip.compress(BODY), more="Content-Encoding: gzip\r\n"),
    "deflate": sized(zlib.compress(BODY), more="Content-Encoding: Deflate\r\n"),
    "deflate without a header": sized(zlib.compress(BODY)[2:-4], more="Content-Encoding: deflate\r\n"),
    "two gzip members": sized(gzip.compress(BODY) * 2, more="Content-Encoding: gzip\r\n"),
    "gzip in deflate": sized(zlib.compress(gzip.compress(BODY)), more="Content-Encoding: gzip, deflate\r\n"),
    "a part of gzip": sized(gzip.compress(BODY)[:-12], more="Content-Encoding: gzip\r\n"),
    "not gzip": sized(BODY, more="Content-Encoding: gzip\r\n"),
    "informational before": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + sized(BODY),
    "an error": sized(b"busy", b"HTTP/1.1 529 Overloaded\r\n", "Retry-After: 7\r\n"),
    "headers twice": sized(BODY, more="x-a: 1\r\nX-A: 1\r\n"),
    "an encoded header": sized(BODY, more="x-a: caf\xe9\r\n").replace("é".encode(), b"\xe9"),
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "half of a head": OK + b"Content-Len",
    "too short": OK + b"Content-Length: 900\r\n\r\n" + BODY,
    "half of a chunk": chunked(BODY)[:-20],
    "without the last chunk": chunked(BODY, end=b""),
    "a wrong chunk": chunked(BODY, end=b"zz\r\n\r\n"),
    "a wrong length": OK + b"Content-Length: many\r\n\r\n" + BODY,
    "an endless header": OK + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
}


@contextmanager
def serving(answers: list[bytes], tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection after another: each request gets the next answer, after which the connection is closed."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            with suppress(OSError):
                connection, _ = listener.accept()
                with tls.wrap_socket(connection, server_side=True) if tls else connection as accepted:
                    requests.append(_read(accepted))
                    accepted.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # ends an accept that waits in the thread
        thread.join()
        listener.close()


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += _received(connection)
    return head + b"\r\n\r\n" + body


def _received(connection: socket.socket) -> bytes:
    """The next bytes. Raises ConnectionError at the end of the stream."""
    if not (data := connection.recv(65536)):
        raise ConnectionError("the client has closed the connection")
    return data


def client(kind: str, base: str) -> HttpClient:
    url = f"{base}/v1/messages"
    if kind == "direct":
        return DirectClient(url, address=base, connect_timeout=60, tls=trusted)
    return HttpxClient(url, {}, address=base, connect_timeout=60)


async def outcome(http: HttpClient, headers: dict[str, str] | None = None) -> Any:
    """The status, two headers and the body of one exchange, or the kind of its error."""
    try:
        response = await http.post(b'{"a": 1}', headers or {"x-api-key": "k"})
        try:
            body = b"".join([piece async for piece in response.aiter_bytes()])
            return response.status_code, response.headers.get("retry-after"), body
        finally:
            await response.aclose()
    except ProviderError as error:
        return error.code, error.retryable
    except Exception as error:
        known = http.error(error) or other_error(error)
        return known.code, known.retryable, known.message.split(":")[0].split(" ")[:3]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_every_response_is_read_as_httpx_reads_it(answer: bytes) -> None:
    found = {}
    for kind in ("direct", "httpx"):
        with serving([answer]) as (url, requests):
            http = client(kind, url)
            found[kind] = await outcome(http)
            await http.aclose()
            assert requests[0].startswith(b"POST /v1/messages HTTP/1.1\r\n")
            assert requests[0].endswith(b'\r\n\r\n{"a": 1}')
    assert found["direct"] == found["httpx"]


@pytest.mark.parametrize("headers", [{"x-a": "line\nline"}, {"x-a": "schlüssel"}, {"x a": "1"}])
async def test_a_request_that_cannot_be_written_is_an_error_of_ours(headers: dict[str, str]) -> None:
    with serving([sized(b"")] * 2) as (url, _):
        found = []
        for kind in ("direct", "httpx"):
            http = client(kind, url)
            found.append(await outcome(http, headers))
            await http.aclose()
    assert found[0] == found[1] == ("provider_error", False, ["the", "request", "could"])


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    with serving([sized(BODY)] * 5) as (url, requests):  # closes after each, without saying so
        http = DirectClient(f"{url}/v1/messages", address=url, connect_timeout=60, tls=trusted)
        try:
            for _ in range(5):
                assert await outcome(http) == (200, None, BODY)
                await until_async(lambda: not any(idle.is_usable() for idle in http._idle))
        finally:
            await http.aclose()
    assert len(requests) == 5


async def test_a_redirect_counts_for_its_request_only() -> None:
    elsewhere = sized(b"", b"HTTP/1.1 307 x\r\n", "Location: /elsewhere\r\nConnection: close\r\n")
    whole = sized(BODY, more="Connection: close\r\n")
    for kind in ("direct", "httpx"):
        with serving([elsewhere, whole, whole]) as (url, requests):
            http = client(kind, url)
            assert [await outcome(http) for _ in range(2)] == [(200, None, BODY)] * 2
            await http.aclose()
        paths = [request.split()[1] for request in requests]
        assert paths == [b"/v1/messages", b"/elsewhere", b"/v1/messages"]


async def test_redirects_without_end_are_an_error() -> None:
    with serving([sized(b"", b"HTTP/1.1 308 x\r\n", "Location: /v1/messages\r\n")] * 20) as (url, requests):
        http = client("direct", url)
        assert await outcome(http) == ("provider_error", False)
        await http.aclose()
    assert len(requests) == 10


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for the loopback address; its key is in the same file."""
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=loopback",
    ]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*request, *more], cwd=tmp_path, check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return both


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_certificates_are_checked(
    is_trusted: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    found = {}
    for kind in ("direct", "httpx"):
        with serving([sized(BODY)] * 2, server) as (url, _):
            http = client(kind, url)
            found[kind] = [await outcome(http) for _ in range(2)]
            await http.aclose()
    expected = (200, None, BODY) if is_trusted else ("provider_error", True, ["the", "connection", "to"])
    assert found == {"direct": [expected] * 2, "httpx": [expected] * 2}


@pytest.mark.parametrize(
    ("url", "direct"),
    [
        ("http://localhost/v1/messages", True),
        ("https://api.example.com:8443/v1/chat/completions", True),
        ("http://[::1]:8080/v1/messages", True),
        ("http://user:secret@host/v1/messages", False),
        ("http://bücher.example/v1/messages", False),
        ("http://host/v1/messages?api-version=1", False),
        ("http://host/v1/ messages", False),
        ("ftp://host/v1/messages", False),
    ],
)
def test_other_urls_are_left_to_httpx(url: str, direct: bool) -> None:
    assert DirectClient.can_reach(url) == direct
