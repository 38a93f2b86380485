from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_runtime.agent.inbox import Inbox
from agent_runtime.agent.step_gate import StepGate
from agent_runtime.engine.stdin import LINE_LIMIT, listen, read_request
from agent_runtime.errors import RequestError
from agent_runtime.protocol.control import parse_control
from agent_runtime.protocol.request import parse

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


def through_pipe(*pieces: bytes, close: bool = True) -> tuple[object, bytes]:
    reader, writer = os.pipe()
    try:
        feeder = threading.Thread(target=lambda: [os.write(writer, piece) for piece in pieces])
        feeder.start()
        if close:
            feeder.join()
            os.close(writer)
        found = read_request(reader)
        feeder.join()
        return found
    finally:
        os.close(reader)
        if not close:
            os.close(writer)


@settings(deadline=None)
@given(st.dictionaries(TEXT, JSON, max_size=3), st.booleans(), st.integers(1, 9))
def test_a_request_is_complete_at_its_closing_brace(
    value: dict[str, object], indent: bool, size: int
) -> None:
    text = json.dumps(value, indent=2 if indent else None, ensure_ascii=False).encode()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found, rest = through_pipe(b" \n", *pieces, b'\n{"action":"pause"}\n', close=False)
    assert found == value
    assert b'\n{"action":"pause"}\n'.startswith(rest)


def test_the_request_is_read_although_stdin_stays_open() -> None:
    assert through_pipe(b'{"prompt": "a } b \\" }"', b"}", close=False) == ({"prompt": 'a } b " }'}, b"")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "the input is empty"),
        (b"   \n", "the input is empty"),
        (b'{"prompt": "x"', "ends before the closing brace"),
        (b"{prompt: 1}", "expected one JSON object"),
        (b'{"prompt": NaN}', "NaN is not a JSON number"),
        (b"[1, 2]\n", "got an array"),
        (b"[1, 2]", "got an array"),
        (b"hello\n", "expected one JSON object"),
        (b'{"a": "\xff\xfe"}', "expected one JSON object"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "nested too deeply"),
    ],
)
def test_invalid_requests_are_refused(text: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "request"
    path.write_bytes(text)
    with path.open("rb") as file, pytest.raises(RequestError, match="request") as refused:
        raw, _ = read_request(file.fileno())
        if says == "got an array":
            parse(raw)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"nonsense", "control"),
        (b"[]", "action"),
        (b'{"action": "dance"}', "action"),
        (b'{"action": ["cancel"]}', "action"),
        (b'{"action": "input"}', "text"),
        (b'{"action": "input", "text": " "}', "text"),
        (b'{"action": "pause", "before": "model"}', "before"),
    ],
)
def test_a_malformed_control_line_is_refused_by_field(line: bytes, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_control(line)
    assert refused.value.field == field


def test_control_messages_arrive_in_order_and_closing_stdin_does_not_cancel() -> None:
    cancelled: list[str] = []

    async def main() -> None:
        inbox = Inbox(cancelled.append, StepGate())
        arrived = anyio.Event()
        reader, writer = os.pipe()
        os.write(writer, b'{"action":"pause"}\n{"action":"input","text":"one"}\n{"action":"in')

        async def handle(line: bytes) -> None:
            inbox.handle(line)
            if inbox.paused:
                arrived.set()

        async with anyio.create_task_group() as group:
            group.start_soon(listen, reader, b'{"action":"input","text":"zero"}\n', handle)
            with anyio.fail_after(60):
                await arrived.wait()
            os.write(writer, b'put","text":"two"}')
            os.close(writer)
        os.close(reader)
        assert inbox.take() == ["zero", "one", "two"]
        assert inbox.paused and not inbox.pending
        inbox.handle(b'{"action":"resume"}')
        await inbox.ready()
        assert cancelled == []
        inbox.handle(b'{"action":"cancel"}')

    anyio.run(main)
    assert cancelled == ["cancelled"]


def test_a_pause_before_tools_lets_model_calls_go_on_until_it_is_resumed() -> None:
    async def main() -> None:
        inbox = Inbox(lambda reason: None, StepGate())
        inbox.handle(b'{"action":"pause","before":"tool"}')
        await inbox.ready()
        assert not inbox.paused
        with anyio.move_on_after(0) as scope:
            await inbox.ready_for_tools()
        assert scope.cancelled_caught
        inbox.handle(b'{"action":"resume"}')
        await inbox.ready_for_tools()

    anyio.run(main)


def test_a_line_that_is_too_long_is_reported_once_and_has_no_effect(tmp_path: Path) -> None:
    long = b"x" * (2 * LINE_LIMIT)
    path = tmp_path / "lines"
    path.write_bytes(long + b'x{"action":"cancel"}\n{"action":"pause"}\n' + long + b'{"action":"cancel"}')
    heard: list[bytes] = []

    async def handle(line: bytes) -> None:
        heard.append(line[-10:])

    with path.open("rb") as file:
        anyio.run(listen, file.fileno(), b"", handle)
    assert heard == [b"ver 4 MiB]", b'":"pause"}', b"ver 4 MiB]"]
