"""A model provider on loopback: plays a script of turns in the wire format of each request, and validates requests.

    with ModelServer([Turn(calls=[("bash", {"command": "ls"})]), Turn(text="done")]) as server:
        subprocess.run([...], env=os.environ | server.environ("anthropic"))
        assert server.violations == []
        server.requests[0].body["messages"]

The path selects the format: POST /v1/messages, /v1/responses, /v1/chat/completions (with or without /v1). Requests
that the real provider would refuse (a call without its result, an unknown signature) are answered with 400 and
recorded in `violations`. As a process: `python -m agent_runtime.testing.model_server --script FILE [--port 0]`
prints its port; GET /_requests and /_violations return the requests and violations.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from agent_runtime.testing.model_checks import violations
from agent_runtime.testing.model_streams import Call, Fault, Json, Turn, WireFormat, events, sign

__all__ = ["Call", "Fault", "ModelServer", "Request", "Turn", "sign"]

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


Scripted = Turn | Callable[[Request], Turn]


class ModelServer:
    """A provider that plays a script.

    Args:
        script: the turns, in order; a function is called with the request and returns the turn.
        awkward: write events in pieces of 1 to 7 bytes, and text character by character.
        strict: refuse requests that a real provider would refuse.
        repeat_last: repeat the last turn forever.
        port: 0 for any free port.

    Attributes:
        requests: the received requests.
        violations: the reasons for which requests were refused.
        signatures: the signatures that were issued.
    """

    def __init__(
        self,
        script: Sequence[Scripted] = (),
        *,
        awkward: bool = False,
        strict: bool = True,
        repeat_last: bool = False,
        port: int = 0,
    ) -> None:
        self.script = list(script)
        self.awkward, self.strict, self.repeat_last = awkward, strict, repeat_last
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.signatures: set[str] = set()
        self.closing = threading.Event()
        self._played = 0
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.model = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[Json]:
        """The bodies of the requests."""
        return [request.body for request in self.requests]

    def environ(self, format: WireFormat) -> dict[str, str]:
        """Return the variables that make the runtime use this server: base URLs, keys, and a model of the format."""
        models = {
            "anthropic": "anthropic:claude-sonnet-4-5",
            "openai-responses": "openai:gpt-5.2",
            "openai-chat": "openai-chat:gpt-5.2",
        }
        return {
            "AGENT_RUNTIME_MODEL": models[format],
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "sk-ant-loopback-0123456789",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_KEY": "sk-loopback-0123456789",
            "NO_PROXY": "127.0.0.1",
        }

    def start(self) -> ModelServer:
        """Start to serve in a thread."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving; active requests are aborted."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> ModelServer:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def answer(self, request: Request) -> tuple[Turn, list[Json]]:
        """Return the next turn of the script for this request, and its events."""
        with self._lock:
            self.requests.append(request)
            wrong = violations(request.format, request.body, self.signatures) if self.strict else []
            if not wrong and self._played >= len(self.script) and not (self.repeat_last and self.script):
                wrong = ["the script has no more turns"]
            if wrong:
                self.violations += wrong
                return Turn(fault=Fault(400, message="; ".join(wrong))), []
            number = self._played
            self._played += 1
            scripted = self.script[min(number, len(self.script) - 1)]
            turn = scripted if isinstance(scripted, Turn) else scripted(request)
            pieces = 10**9 if self.awkward else 3
            chunks = events(turn, request.format, number=number, body=request.body, pieces=pieces)
            self.signatures |= set(_signatures(chunks))
            return turn, chunks


def _signatures(value: Any) -> list[str]:
    """Return all signatures and encrypted contents in a stream."""
    if isinstance(value, list):
        return [found for part in value for found in _signatures(part)]
    if not isinstance(value, dict):
        return []
    kept = ("signature", "encrypted_content", "data")
    own = [value[key] for key in kept if isinstance(value.get(key), str)]
    return own + [found for part in value.values() for found in _signatures(part)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    model: ModelServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise small writes wait 40 ms for an acknowledgement
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        model = self.server.model
        answers: dict[str, Any] = {
            "/_requests": [vars(r) | {"headers": dict(r.headers)} for r in model.requests],
            "/_violations": model.violations,
        }
        self._whole(200 if self.path in answers else 404, answers.get(self.path, "not found"))

    def do_POST(self) -> None:
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


def main() -> None:
    """Serve a script until the process is killed; the first line of stdout is the port."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--script", required=True, help="a JSON array of turns, or one turn per line")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--awkward", action="store_true")
    parser.add_argument("--lenient", action="store_true")
    parser.add_argument("--repeat-last", action="store_true")
    args = parser.parse_args()
    text = Path(args.script).read_text("utf-8").strip()
    turns = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    script: list[Scripted] = [Turn.of(cast("Json", turn)) for turn in turns]
    options = {"awkward": args.awkward, "strict": not args.lenient, "repeat_last": args.repeat_last}
    with ModelServer(script, port=args.port, **options) as server:
        print(server.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
