"""An MCP server for tests that can misbehave in many ways; the standard library alone, so that it starts fast.

The arguments are names of faults of the start. Each fault of a call is a tool of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
FAULTS = set(sys.argv[1:])
LOCK = threading.Lock()
MEETING = threading.Barrier(5)
CHILD = [sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]


def write(message: Any) -> None:
    with LOCK:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        sys.stdout.flush()


def raw(data: bytes) -> None:
    with LOCK:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def text(value: str) -> Json:
    return {"content": [{"type": "text", "text": value}]}


def progress(arguments: Json, meta: Json) -> Json:
    count = arguments["count"]
    for number in range(count):
        notification = {"progressToken": meta["progressToken"], "progress": number + 1, "total": count}
        write(
            {"method": "notifications/progress", "params": notification | {"message": f"step {number + 1}"}}
        )
    return text("all steps")


def leave_children(arguments: Json, meta: Json) -> Json:
    """A child that ignores SIGTERM, and one that has left the session and the environment."""
    children = [subprocess.Popen(CHILD), subprocess.Popen(["setsid", *CHILD], env={})]
    return text(" ".join(str(child.pid) for child in children))


def sleep(arguments: Json, meta: Json) -> Json:
    time.sleep(600)
    return text("slept")


def meet(arguments: Json, meta: Json) -> Json:
    """Returns when five calls are under way."""
    MEETING.wait()
    return text("all five are here")


def die(arguments: Json, meta: Json) -> Json:
    print("out of luck", file=sys.stderr, flush=True)
    os._exit(9)


def flood(arguments: Json, meta: Json) -> Json:
    raw(b"\xff\x00 not a message" * 500_000)
    return text("flooded")


def wrong_ids(arguments: Json, meta: Json) -> Json:
    for wrong in ("x", -1, 10**6, None, [1]):
        write({"id": wrong, "result": text("for nobody")})
    return text("right")


def environment(arguments: Json, meta: Json) -> Json:
    return text(json.dumps(dict(os.environ)))


IMAGE = {"type": "image", "mimeType": "image/png"}
CALLS: dict[str, Callable[[Json, Json], Any]] = {
    "echo": lambda arguments, meta: text(str(arguments.get("text"))),
    "meta": lambda arguments, meta: text(json.dumps(meta)),
    "progress": progress,
    "leave_children": leave_children,
    "sleep": sleep,
    "meet": meet,
    "die": die,
    "flood": flood,
    "wrong_ids": wrong_ids,
    "environment": environment,
    "half": lambda arguments, meta: text("cut \ud83d here, \U0001f600 whole"),
    "pid": lambda arguments, meta: text(str(os.getpid())),
    "big": lambda arguments, meta: text("a line of text\n" * 300_000),
    "structured": lambda arguments, meta: {"content": [], "structuredContent": {"answer": 42}},
    "structured_twice": lambda arguments, meta: {
        "content": [{"type": "text", "text": '{"answer": 42}'}],
        "structuredContent": {"answer": 42},
    },
    "bad_image": lambda arguments, meta: {"content": [IMAGE | {"data": "!!"}, IMAGE | {"data": "aGk="}]},
    "many_kinds": lambda arguments, meta: {
        "content": [
            {"type": "audio", "mimeType": "audio/wav", "data": "aGk="},
            {"type": "resource_link", "name": "readme", "uri": "file:///readme.md"},
            {"type": "resource", "resource": {"uri": "x://a", "text": "the text"}},
            {"type": "resource", "resource": {"uri": "x://b", "blob": "aGk="}},
        ]
    },
    "tool_error": lambda arguments, meta: text("no such city") | {"isError": True},
    "not_a_result": lambda arguments, meta: {"content": 5},
    "unknown_kind": lambda arguments, meta: {"content": [{"type": "hologram"}]},
    "no_object": lambda arguments, meta: ["a", "list"],
}


WRONG_SCHEMAS: list[Any] = [None, 5, "x", []]
INVALID: list[Any] = [
    {"inputSchema": {"type": "object"}},
    {"name": 5, "inputSchema": {"type": "object"}},
    "text",
    None,
    [],
    *({"name": f"schema{number}", "inputSchema": wrong} for number, wrong in enumerate(WRONG_SCHEMAS)),
    {"name": "untyped", "inputSchema": {}},
    {"name": "string", "inputSchema": {"type": "string"}},
    {"name": "none"},
    {"name": "described", "description": {"en": "x"}, "inputSchema": {"type": "object"}},
    {"name": "annotated", "annotations": "destructive", "inputSchema": {"type": "object"}},
    {"name": "output", "outputSchema": "text", "inputSchema": {"type": "object"}},
]


def tools() -> list[Json]:
    schema = {"type": "object"}
    found: list[Json] = [{"name": name, "inputSchema": schema} for name in CALLS]
    if "many" in FAULTS:
        found = [
            {"name": f"tool{i}", "description": f"number {i}", "inputSchema": schema} for i in range(500)
        ]
    if "names" in FAULTS:
        names = ["a.b", "a_b", "a b", "über", "x" * 100, "x" * 101, ""]
        found = [{"name": name, "inputSchema": schema} for name in names]
    if "invalid" in FAULTS:
        found = [{"name": "good", "inputSchema": schema}, *INVALID, {"name": "echo", "inputSchema": schema}]
    if "schemas" in FAULTS:
        schemas: dict[str, Any] = {
            "good": {"type": "object", "properties": {"x": {"type": "string"}}},
            "bare": {"type": "object"},
            "combined": {
                "type": "object",
                "anyOf": [{"properties": {"x": {"type": "string"}}}, {"properties": {"y": {}}}],
            },
            "bad_property": {"type": "object", "properties": {"a b!": {}}},
            "huge": {
                "type": "object",
                "properties": {f"p{i}": {"description": "x" * 99} for i in range(999)},
            },
        }
        found = [{"name": name, "inputSchema": schema} for name, schema in schemas.items()]
    return found


def answer(message: Json) -> None:
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        version = "1999-01-01" if "version" in FAULTS else params.get("protocolVersion")
        info = {"name": "faulty", "version": "1"}
        result: Json = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        write({"id": message["id"], "result": result | {"instructions": "Use it with care."}})
    elif method == "tools/list":
        if "endless" in FAULTS:
            write({"id": message["id"], "result": {"tools": [], "nextCursor": str(time.time())}})
        else:
            write({"id": message["id"], "result": {"tools": tools()}})
    elif method == "tools/call":
        call = CALLS.get(params["name"]) or CALLS["echo"]
        arguments, meta = params.get("arguments") or {}, params.get("_meta") or {}
        threading.Thread(
            target=lambda: write({"id": message["id"], "result": call(arguments, meta)}), daemon=True
        ).start()
    elif "id" in message:
        write({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    if "banner" in FAULTS:
        raw(b"Welcome!\n\xff\xfe\x00 binary\n{}\n[1]\nnull\n" + b"[" * 5000 + b"\n")
    if "stubborn" in FAULTS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "exits" in FAULTS:
        sys.exit("cannot open the database")
    if "floods" in FAULTS:
        while True:
            raw(b"no message\n" * 1000)
    if "long_line" in FAULTS:
        while True:
            raw(b"x" * 1_000_000)
    if "deaf" in FAULTS:
        signal.pause()
    for line in sys.stdin:
        if "silent" not in FAULTS:
            answer(json.loads(line))
    if "stubborn" in FAULTS:
        signal.pause()


main()
