"""A model server for benchmarks: it answers each request with the next command of a script, and notes when.

It speaks Messages, Responses and Chat Completions, by the path of the request, and calls whichever shell tool the
program offers. It writes its answers from sockets and threads directly, so that it costs little itself.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_SHELLS = ("bash", "exec_command", "shell_command", "shell", "Bash", "local_shell")
_ARGUMENTS = ("command", "cmd")


@dataclass(frozen=True)
class Arrival:
    """A request: when it was complete and when the answer before it was sent (seconds), and what the program had used.

    cpu: seconds of all threads of the program's process group. pss: its memory in kB.
    """

    at: float
    answered: float | None
    size: int
    cpu: float
    pss: int


class ScriptedModel:
    """Serves on loopback. Each command is one call of a shell tool; after the last one the task is done."""

    def __init__(self, commands: Sequence[str]) -> None:
        self.commands = list(commands)
        self.arrivals: list[Arrival] = []
        self.pid: int | None = None  # of the program
        self.sample_memory = False
        # count the turns of each conversation: several runs use this server at once
        self.by_conversation = False
        self._answered: float | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> ScriptedModel:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as incoming, suppress(OSError, ValueError):
            while line := incoming.readline():
                method, path, _ = line.decode().split(" ", 2)
                length = 0
                while (header := incoming.readline().strip()) != b"":
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                body = incoming.read(length)
                connection.sendall(self._answer(path.partition("?")[0], body) if method == "POST" else _EMPTY)

    def _answer(self, path: str, body: bytes) -> bytes:
        at = time.perf_counter()
        request = json.loads(body or b"{}")
        call = _shell_call(request.get("tools") or ())
        if call is None or not request.get("stream"):  # a title, a count of tokens: no turn of the task
            return _EMPTY
        with self._lock:
            number = len(self.arrivals)
            self.arrivals.append(Arrival(at, self._answered, len(body), self._cpu(), self._pss()))
        if self.by_conversation:
            number = sum(message.get("role") == "assistant" for message in request.get("messages", ()))
        command = self.commands[number] if number < len(self.commands) else None
        answer = _response(_events(path, number, call, command, len(body) // 4))
        self._answered = time.perf_counter()
        return answer

    @cached_property
    def _group(self) -> list[Path]:
        """The processes of the program at its first request: some start another one that does the work."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if self.pid and int(stat.read_text().rpartition(")")[2].split()[2]) == self.pid:
                    found.append(stat.parent)
        return found

    def _cpu(self) -> float:
        used = 0
        for process in self._group:
            with suppress(OSError):
                for task in (process / "task").iterdir():
                    used += int((task / "schedstat").read_text().split()[0])
        return used / 1e9

    def _pss(self) -> int:
        total = 0
        for process in self._group if self.sample_memory else ():
            with suppress(OSError):
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total


def _shell_call(tools: Sequence[dict[str, Any]]) -> tuple[str, str, bool] | None:
    """The name of the shell tool, of its argument, and whether that is a list."""
    known = {tool.get("name") or tool.get("function", {}).get("name"): tool for tool in tools}
    for name in _SHELLS:
        if name in known:
            tool = known[name].get("function", known[name])
            schema = tool.get("input_schema") or tool.get("parameters") or {}
            properties = schema.get("properties", {})
            argument = next((each for each in _ARGUMENTS if each in properties), "command")
            return name, argument, properties.get(argument, {}).get("type") == "array"
    return None


def _events(
    path: str, number: int, call: tuple[str, str, bool], command: str | None, tokens: int
) -> list[dict[str, Any]]:
    name, argument, is_list = call
    value = ["bash", "-lc", command] if is_list else command
    arguments = json.dumps({argument: value})
    if path.endswith("/messages"):
        return _messages(number, name, arguments, tokens, is_last=command is None)
    if path.endswith("/responses"):
        return _responses(number, name, arguments, tokens, is_last=command is None)
    return _chat(number, name, arguments, tokens, is_last=command is None)


def _messages(number: int, name: str, arguments: str, tokens: int, *, is_last: bool) -> list[dict[str, Any]]:
    block: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
    delta = {"type": "input_json_delta", "partial_json": arguments}
    if is_last:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}
    message: dict[str, Any] = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "m"}
    usage = {"input_tokens": tokens, "output_tokens": 1}
    message |= {"content": [], "stop_reason": None, "usage": usage}
    stop = {"stop_reason": "end_turn" if is_last else "tool_use", "stop_sequence": None}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]


def _responses(number: int, name: str, arguments: str, tokens: int, *, is_last: bool) -> list[dict[str, Any]]:
    item: dict[str, Any] = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
    item |= {"name": name, "arguments": arguments, "status": "completed"}
    if is_last:
        part: dict[str, Any] = {"type": "output_text", "text": "done", "annotations": []}
        item = {"type": "message", "id": f"item_{number}", "role": "assistant", "status": "completed"}
        item["content"] = [part]
    usage = {"input_tokens": tokens, "output_tokens": 5, "total_tokens": tokens + 5}
    response: dict[str, Any] = {"id": f"resp_{number}", "object": "response", "model": "m", "usage": usage}
    response |= {"status": "completed", "output": [item]}
    return [
        {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]


def _chat(number: int, name: str, arguments: str, tokens: int, *, is_last: bool) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": arguments}
    call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
    delta: dict[str, Any] = {"content": "done"} if is_last else {"tool_calls": [call]}
    usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
    chunk: dict[str, Any] = {"id": f"chat_{number}", "object": "chat.completion.chunk", "model": "m"}
    return [
        chunk | {"choices": [{"index": 0, "delta": {"role": "assistant"} | delta, "finish_reason": None}]},
        chunk
        | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop" if is_last else "tool_calls"}]},
        chunk | {"choices": [], "usage": usage},
    ]


def _response(events: Sequence[dict[str, Any]]) -> bytes:
    text = "".join(
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n"
        for event in events
    )
    body = text.encode() + (b"" if "type" in events[0] else b"data: [DONE]\n\n")
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_EMPTY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
