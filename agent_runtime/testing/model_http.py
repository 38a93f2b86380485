"""The HTTP side of the model server: reads requests, and writes turns with their faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.turns import Fault, Json, Turn

_PATHS: dict[str, WireFormat] = {
    "/messages": "anthropic",
    "/responses": "openai-responses",
    "/chat/completions": "openai-chat",
}
_STATUS_TYPES = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}


@dataclass(frozen=True)
class Request:
    """A received request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Json
    format: WireFormat


class Model(Protocol):
    """What answers the requests; see `model_server.ModelServer`."""

    awkward: bool
    requests: list[Request]
    violations: list[str]
    closing: threading.Event

    def answer(self, request: Request) -> tuple[Turn, list[Json]]:
        """Return the turn for this request, and its events."""
        ...


class HttpServer(ThreadingHTTPServer):
    """Serves a model on loopback."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    model: Model

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise small writes wait 40 ms for an acknowledgement
    server: HttpServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Return what the model has recorded."""
        model = self.server.model
        answers: dict[str, Any] = {
            "/_requests": [vars(r) | {"headers": dict(r.headers)} for r in model.requests],
            "/_violations": model.violations,
        }
        self._whole(200 if self.path in answers else 404, answers.get(self.path, "not found"))

    def do_POST(self) -> None:
        """Play the next turn."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.split("?")[0]
        format: WireFormat | None = next((_PATHS[end] for end in _PATHS if path.endswith(end)), None)
        if format is None:
            return self._whole(404, {"error": {"message": f"no such path: {self.path}"}})
        headers = {k.lower(): v for k, v in self.headers.items()}
        request = Request("POST", self.path, headers, json.loads(raw), format)
        turn, chunks = self.server.model.answer(request)
        fault = turn.fault or Fault()
        if fault.black_hole and fault.hang_after is None:
            self.server.model.closing.wait()
            self.close_connection = True
        elif fault.drop:
            self.close_connection = True
        elif fault.status:
            body = self._error(fault, format) if fault.body is None else fault.body
            self._whole(fault.status, body, fault.headers)
        else:
            self._stream(format, chunks, fault)

    def _whole(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        ids = {"request-id": "req_1", "x-request-id": "req_1"}
        more = {"content-type": "application/json", "content-length": str(len(data))}
        for name, value in (ids | more | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _error(self, fault: Fault, format: WireFormat) -> Json:
        kind = fault.code if fault.code != "scripted" else _STATUS_TYPES.get(fault.status, "api_error")
        if format == "anthropic":
            return {"type": "error", "error": {"type": kind, "message": fault.message}, "request_id": "req_1"}
        error = {"type": kind, "code": kind, "message": fault.message, "param": None}
        return {"type": "error", "error": error} if format == "openai-responses" else {"error": error}

    def _stream(self, format: WireFormat, chunks: list[Json], fault: Fault) -> None:
        self.send_response(200)
        for name, value in {"content-type": "text/event-stream", "transfer-encoding": "chunked"}.items():
            self.send_header(name, value)
        for name, value in ({"request-id": "req_1", "x-request-id": "req_1"} | dict(fault.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        closing = self.server.model.closing
        ping = b'event: ping\ndata: {"type": "ping"}\n\n' if format == "anthropic" else b": keep-alive\n\n"
        while fault.pings_only and not closing.wait(0.02):
            self._bits(ping)
        for number, chunk in enumerate(chunks):
            if fault.hang_after == number:
                closing.wait()
            if fault.cut_after == number or closing.wait(fault.slow) or closing.is_set():
                self.close_connection = True  # without the last chunk, so the client sees an incomplete body
                return
            if fault.garbage and number == len(chunks) // 2:
                self._bits(b"event: message_delta\ndata: {this is not JSON\n\n")
            if fault.error_in_stream and number == len(chunks) // 2:
                self._event(format, self._error(fault, format))
                break
            self._event(format, chunk)
        if fault.hang_after is not None and fault.hang_after >= len(chunks):
            closing.wait()
        if format == "openai-chat" and not fault.error_in_stream:
            self._bits(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, format: WireFormat, chunk: Json) -> None:
        name = "" if format == "openai-chat" else f"event: {chunk['type']}\n"
        data = json.dumps(chunk, ensure_ascii=not self.server.model.awkward).encode("utf-8", "surrogatepass")
        self._bits(name.encode() + b"data: " + data + b"\n\n")

    def _bits(self, data: bytes) -> None:
        if not self.server.model.awkward:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            return self.wfile.flush()
        at = 0
        while at < len(data):
            bit = data[at : at + 1 + at % 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(bit), bit))
            self.wfile.flush()
            at += len(bit)
        return None
