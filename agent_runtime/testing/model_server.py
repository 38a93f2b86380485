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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from agent_runtime.testing.model_checks import violations
from agent_runtime.testing.model_http import Handler, HttpServer, Request
from agent_runtime.testing.model_streams import WireFormat, events, sign
from agent_runtime.testing.turns import Call, Fault, Json, Turn

__all__ = ["Call", "Fault", "ModelServer", "Request", "Turn", "sign"]

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
        self._http = HttpServer(("127.0.0.1", port), Handler)
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
