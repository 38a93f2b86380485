"""Stand-ins for the clouds: model endpoints that check signatures and tokens, and what gives the tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.model_streams import events

CHECKED = ("host", "x-amz-date")  # headers that a signature has to cover


@dataclass(frozen=True)
class Received:
    """A request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[Received], Answer]


@dataclass
class Server:
    """Where it is, and what it received."""

    url: str
    requests: list[Received]


@contextmanager
def serving(answer: Answering) -> Iterator[Server]:
    """A server on loopback whose responses `answer` gives."""
    requests: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, content)
            requests.append(received)
            answered = answer(received)
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answered.content)))
            self.end_headers()
            for start in range(0, len(answered.content), 1 << 10):
                self.wfile.write(answered.content[start : start + (1 << 10)])

        do_GET = do_POST = do_PUT = respond

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield Server(f"http://127.0.0.1:{server.server_port}", requests)
        server.shutdown()


def chunks_of(turn: Turn) -> list[dict[str, Any]]:
    """The events of a turn in the Messages format."""
    return events(turn, "anthropic", number=0, body={})


def as_sse(chunks: list[dict[str, Any]]) -> Answer:
    """A stream of events, as Vertex AI and Foundry have it."""
    lines = (f"event: {chunk['type']}\ndata: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Answer(200, "".join(lines).encode(), {"Content-Type": "text/event-stream"})


def as_frames(chunks: list[dict[str, Any]]) -> Answer:
    """A stream of frames, as Bedrock has it."""
    content = b"".join(map(frame_of, chunks))
    return Answer(200, content, {"Content-Type": "application/vnd.amazon.eventstream"})


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON value."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


def frame(payload: bytes, **headers: str) -> bytes:
    """A message of Amazon's binary event stream."""
    encoded = b""
    for name, value in headers.items():
        text = f":{name.replace('_', '-')}".encode()
        encoded += bytes([len(text)]) + text + b"\7" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack(">I", zlib.crc32(message))


def frame_of(data: dict[str, Any]) -> bytes:
    """The message that holds an event of the Messages format."""
    payload = {"bytes": base64.b64encode(json.dumps(data).encode()).decode(), "p": "abc"}
    return frame(json.dumps(payload).encode(), event_type="chunk", message_type="event")


def signature_problem(
    request: Received, secrets: Mapping[str, str], region: str, service: str = "bedrock"
) -> str:
    """Why the signature of a request is not valid; empty when it is.

    Written after the description of Signature Version 4 in the documentation of Amazon.

    Args:
        request: the request.
        secrets: the secret keys, by their ids.
        region: of the endpoint.
        service: the name that requests are signed for.
    """
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
        r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
        request.headers.get("authorization", ""),
    )
    if found is None:
        return "there is no signature"
    id, day, signed_region, signed_service, names, signature = found.groups()
    if id not in secrets or (signed_region, signed_service) != (region, service):
        return f"signed by {id} for {signed_service} in {signed_region}"
    signed = names.split(";")
    if missing := {*CHECKED, *(name for name in request.headers if name.startswith("x-amz-"))} - {*signed}:
        return f"not signed: {missing}"
    time = request.headers["x-amz-date"]
    path, _, query = request.path.partition("?")
    pairs = sorted((quote(name, "-_.~"), quote(value, "-_.~")) for name, value in parse_qsl(query, True))
    canonical = "\n".join(
        [
            request.method,
            quote(path, "/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
            "",
            names,
            hashlib.sha256(request.content).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secrets[id]}".encode()
    for part in (day, region, service, "aws4_request", f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return "" if hmac.compare_digest(key.hex(), signature) else "the signature is wrong"


def host_and_port(url: str) -> str:
    """The host and the port of a URL."""
    return urlsplit(url).netloc
