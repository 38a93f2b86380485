"""10,000 damaged inputs: each is understood or refused in words. No other error, and no hang.

Of the decoders of the provider's streams 4,500 are in tests/providers/test_damaged.py.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agent_runtime.cli.run import merge
from agent_runtime.engine.stdin import read_request
from agent_runtime.errors import RequestError, TranscriptError
from agent_runtime.protocol.control import parse_control
from agent_runtime.protocol.request import parse
from agent_runtime.protocol.strict_json import decode
from agent_runtime.testing.model_server import Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat, events
from agent_runtime.transcripts.reader import read
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import StandbyRun, request_for
from tests.providers.test_damaged import damaged
from tests.support.formats import FORMATS
from tests.support.runs import bash

REQUEST = {
    "prompt": "do \u00e9 \U0001f600 it",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    "model": {"provider": "custom", "endpoint": "http://x", "apiKey": "k", "format": "openai", "name": "m"},
    "config": {"maxTurns": 3, "temperature": 0.5, "timeout": 9, "effort": "low", "max_tokens": 9},
    "tools": ["bash"],
    "env": {"A": "b"},
    "mounts": [{"workspaceId": "w", "path": "/"}],
    "metadata": {"any": [1, None, True]},
    "params": {},
    "outputSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
    "askUser": True,
    "skills": ["one"],
    "questionTimeout": 5,
    "agentSlug": "code-assistant",
    "threadId": "t",
}
TOKENS = [
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\",
        b"\\u",
        b"\\ud800",
        b"null",
        b"true",
        b"NaN",
        b"1e999",
    ),
    *(b"-", b"9" * 400, b"\0", b"\n", b"\r\n", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x1b"),
    *(
        b'"prompt"',
        b'"action"',
        b'"cancel"',
        b'"text"',
        b'"config"',
        b'"model"',
        b"[" * 3000,
        b'{"a":' * 3000,
    ),
]


def damage(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, lost, doubled, moved, cut off, or with something else in between."""
    for _ in range(rng.randint(1, 2)):
        a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        b = min(b, a + 40)
        kind = rng.randrange(6)
        if kind == 0 and data:
            a = rng.randrange(len(data))
            data = data[:a] + bytes([data[a] ^ 1 << rng.randrange(8)]) + data[a + 1 :]
        elif kind == 1:
            data = data[:a] + data[b:]
        elif kind == 2:
            data = data[:b] + data[a:b] + data[b:]
        elif kind == 3 and rng.random() < 0.3:
            data = data[:a]
        else:
            data = data[:a] + rng.choice(TOKENS) + data[a:]
    return data


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """What hangs is an error with the place it hangs at."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_arbitrary_request_lines_never_crash() -> None:
    rng, whole = random.Random(51), json.dumps(REQUEST, ensure_ascii=False).encode()
    outcomes = {"understood": 0, "refused": 0}
    for _ in range(4000):
        line = damage(whole, rng)
        reader, writer = os.pipe()
        with os.fdopen(writer, "wb") as file:
            file.write(line[:60_000])
        try:
            with at_most(60):
                raw, _ = read_request(reader)
                request, unknown = parse(merge(raw, {"model": None, "config": {}}))
            assert request.prompt or request.messages
            json.dumps([request.model_dump(mode="json"), unknown]).encode()
            outcomes["understood"] += 1
        except RequestError as refused:
            assert refused.field and refused.problem
            str(refused).encode()
            outcomes["refused"] += 1
        finally:
            os.close(reader)
    assert min(outcomes.values()) > 400, outcomes


def test_arbitrary_request_values_never_crash() -> None:
    """Whole JSON, with something of another kind at one place."""
    rng = random.Random(52)
    junk: list[Any] = [
        None,
        0,
        -1,
        1e308,
        True,
        "",
        "x" * 300,
        "\ud800",
        [],
        {},
        [[]],
        {"a": {}},
        2**70,
        "\0",
        "../..",
    ]
    for _ in range(2000):
        body = json.loads(json.dumps(REQUEST))
        value = body
        while True:
            key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
            if not (isinstance(value[key], dict | list) and value[key]) or rng.random() < 0.4:
                break
            value = value[key]
        value[key] = rng.choice(junk)
        try:
            parse(body)
        except RequestError as refused:
            assert refused.field


def test_arbitrary_control_lines_never_crash() -> None:
    rng = random.Random(53)
    lines = [
        b'{"action":"pause"}',
        b'{"action":"input","text":"caf\xc3\xa9 \\ud83d\\ude00"}',
        b'{"action": "cancel", "more": [1, {}]}',
    ]
    outcomes = {"understood": 0, "refused": 0}
    for _ in range(2000):
        line = damage(rng.choice(lines), rng)
        try:
            with at_most(60):
                control = parse_control(line)
            assert control.action in ("pause", "resume", "cancel", "input")
            (control.text or "").encode()
            outcomes["understood"] += 1
        except RequestError as refused:
            assert refused.field and refused.problem
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 50, outcomes


def test_damaged_transcripts_never_crash(standby: Running, tmp_path: Path) -> None:
    path = tmp_path / "transcript.ndjson"
    with ModelServer([bash("echo one > f"), Turn(text="ok")]) as server:
        request = request_for("anthropic", record=str(path))
        assert StandbyRun(standby, request, server.environ("anthropic"), tmp_path).end().code == 0
    whole, rng = path.read_bytes(), random.Random(54)
    outcomes = {"understood": 0, "refused": 0}
    for _ in range(800):
        path.write_bytes(damage(whole, rng))
        try:
            with at_most(60):
                read(path)
            outcomes["understood"] += 1
        except TranscriptError as refused:
            assert f"{path}, line " in str(refused)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10, outcomes


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_streams_never_crash_the_program(
    format: WireFormat, standby: Running, tmp_path: Path
) -> None:
    rng = random.Random(56)
    turn = Turn("some text", "a thought", calls=[("bash", {"command": "echo x"})])
    for number in range(12):
        chunks = damaged(events(turn, format, number=number, body={}), rng)
        chunks = json.loads(json.dumps(chunks).encode("utf-8", "replace"))
        with ModelServer([Turn(raw=chunks), Turn(text="ok")], repeat_last=True, strict=False) as server:
            folder = tmp_path / str(number)
            folder.mkdir()
            request = request_for(format, config={"modelTimeout": 1, "maxRetries": 2})
            assert StandbyRun(standby, request, server.environ(format), folder).end().code in (0, 1)


def test_arbitrary_requests_never_crash_the_program(standby: Running, tmp_path: Path) -> None:
    """What is no request ends with `error` and `complete`; what is one, runs."""
    rng = random.Random(57)
    with ModelServer([Turn(text="ok", fault=Fault())], repeat_last=True, strict=False) as server:
        body = {"prompt": "caf\u00e9", "tools": ["bash"], "config": {"maxTurns": 2}, "metadata": {"a": [1]}}
        whole = json.dumps(body, ensure_ascii=False).encode()
        for number in range(40):
            folder = tmp_path / str(number)
            folder.mkdir()
            line = damage(whole, rng)
            try:
                wanted = isinstance(decode(line), dict)
            except RequestError:
                wanted = False
            trial = StandbyRun(standby, line, server.environ("anthropic"), folder)
            done = trial.end()
            assert done.code in ((0, 2, 3) if wanted else (0, 2)), done.events
