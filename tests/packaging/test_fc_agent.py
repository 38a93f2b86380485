"""The link of the example: every message arrives once and in order, however often the connection is cut."""

from __future__ import annotations

import importlib
import json
import runpy
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import check, environment
from tests.support.runs import bash

REPO = Path(__file__).resolve().parents[2]
EXAMPLE = REPO / "examples/fc_agent"
sys.path.insert(0, str(EXAMPLE))
link: Any = runpy.run_path(str(EXAMPLE / "link.py"))
sandboxes: Any = importlib.import_module("sandboxes")
sys.path.remove(str(EXAMPLE))

STEPS = st.lists(st.one_of(st.sampled_from(["a sends", "b sends", "cut"]), st.integers(1, 200)), max_size=60)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_a_cut_connection_loses_and_repeats_nothing(steps: list[str | int]) -> None:
    ends = {"a": link["Link"](), "b": link["Link"]()}
    sent: dict[str, list[int]] = {"a": [], "b": []}
    received: dict[str, list[int]] = {"a": [], "b": []}
    for end in ends.values():
        end.connect()

    def exchange(size: int) -> None:
        for name, other in (("a", "b"), ("b", "a")):
            piece = bytes(ends[name].outgoing[:size])
            del ends[name].outgoing[:size]
            received[other] += [message["x"] for message in ends[other].feed(piece)]

    for number, step in enumerate(steps):
        if step == "cut":  # unread data is lost, and a line may have arrived incompletely
            ends["a"].outgoing.clear()
            ends["a"].connect()
            ends["b"].outgoing = ends["b"].outgoing[len(ends["b"].outgoing) // 2 :]
        elif isinstance(step, int):
            exchange(step)
        else:
            ends[step[0]].send({"x": number})
            sent[step[0]].append(number)
    ends["a"].connect()
    for _ in range(40):
        exchange(1 << 20)
    assert (received["b"], received["a"]) == (sent["a"], sent["b"])


GARBAGE = [
    *(b"", b"x", b"{", b"null", b"[1]", b'"x"', b"\xff\xfe", b"\x00" * 100, b"[" * 100_000, b"1" * 5_000),
    *(
        b'{"n": 1}',
        b'{"n": 1, "m": 5}',
        b'{"n": "1", "m": {}}',
        b'{"n": 2, "m": {"x": 0}}',
        b'{"n": -1, "m": {}}',
    ),
    *(b'{"ack": null}', b'{"ack": 99}', b'{"hello": []}', b'{"ack": -1}', b"{" + b'"a":{' * 50_000),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_between_messages_is_ignored(garbage: bytes) -> None:
    sender, receiver = link["Link"](), link["Link"]()
    sender.send({"x": 1})
    received = receiver.feed(garbage + b"\n" + bytes(sender.outgoing))
    sender.outgoing.clear()
    sender.send({"x": 2})
    received += receiver.feed(bytes(sender.outgoing) + garbage)
    assert [message["x"] for message in received] == [1, 2]


def test_a_line_without_an_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sender, receiver = link["Link"](), link["Link"]()
    monkeypatch.setitem(link["Link"].feed.__globals__, "MAX_LINE", 10_000)
    for _ in range(10):
        assert receiver.feed(b"x" * 5_000) == []
        assert len(receiver._begun) <= 15_000
    sender.send({"x": 1})
    assert receiver.feed(b"\n" + bytes(sender.outgoing)) == [{"x": 1}]


@pytest.mark.parametrize("acknowledged", [0, 1, 2, 3])
def test_a_program_that_has_started_again_goes_on_with_what_was_not_acknowledged(acknowledged: int) -> None:
    guest, old, new = link["Link"](), link["Link"](), link["Link"]()
    for number in range(3):
        guest.send({"x": number})
        old.send({"y": number})

    def exchange(host: Any) -> tuple[list[Any], list[Any]]:
        to_host, to_guest = [], []
        for _ in range(4):
            to_guest += guest.feed(take(host))
            to_host += host.feed(take(guest))
        return to_host, to_guest

    lines = take(guest).splitlines(keepends=True)
    old.feed(b"".join(lines[:acknowledged]))
    assert len(guest.feed(take(old))) == 3
    take(guest)
    new.send({"y": "new"})
    new.connect()
    to_host, to_guest = exchange(new)
    guest.send({"x": "more"})
    new.send({"y": "more"})
    more = exchange(new)
    assert [each["x"] for each in to_host + more[0]] == [*range(acknowledged, 3), "more"]
    assert [each["y"] for each in to_guest + more[1]] == ["new", "more"]


def take(end: Any) -> bytes:
    data = bytes(end.outgoing)
    end.outgoing.clear()
    return data


def test_a_link_without_acknowledgements_has_no_room() -> None:
    end = link["Link"]()
    end.connect()
    while end.has_room:
        end.send({"text": "x" * 100_000})
    numbers = deque(json.loads(line).get("n") for line in bytes(end.outgoing).splitlines() if line)
    end.feed(json.dumps({"ack": numbers[-1]}).encode() + b"\n")
    assert end.has_room


@pytest.mark.parametrize("freezes", ["0", "2"])
def test_the_launcher_follows_runs_in_processes(freezes: str, workspace: Path) -> None:
    script: list[Any] = [bash("sleep 0.3; echo x >>steps"), bash("echo x >>steps"), Turn(text="done")]
    request = workspace.parent / "request.json"
    request.write_text('{"prompt": "go"}')
    with ModelServer(script) as server:
        done = subprocess.run(
            [sys.executable, EXAMPLE, "local", request, workspace, "--freezes", freezes],
            env=environment(server.environ("anthropic"), workspace.parent / "state"),
            capture_output=True,
            timeout=60,
            check=False,
        )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    check(events, done.returncode)
    assert (done.returncode, (workspace / "steps").read_text()) == (0, "x\nx\n")
    codes = [event["code"] for event in events if event["type"] == "notice"]
    assert codes == ["frozen", "thawed"] * (len(codes) // 2)
    # a result that comes while the run freezes, or right before its end, does not freeze it again
    assert min(1, int(freezes)) <= len(codes) // 2 <= int(freezes)


def event(type: str, seq: int, **more: Any) -> str:
    return json.dumps({"type": type, "seq": seq, "ts": "2026-01-01T00:00:00.000Z", "runId": "run_1"} | more)


START, COMPLETE = event("start", 0), event("complete", 1, status="completed")


@pytest.mark.parametrize(
    ("script", "types", "code"),
    [
        (f"echo '{START}'; echo '{COMPLETE}'", ["start", "complete"], 0),
        (f"echo '{START}'; kill -9 $$", ["start", "error", "complete"], 137),
        (f"echo '{START}'; printf '%s' '{COMPLETE[:-9]}'; kill -9 $$", ["start", "error", "complete"], 137),
        (f"echo '{START}'; echo '{COMPLETE}'; kill -9 $$", ["start", "complete"], 137),
        ("kill -9 $$", ["error", "complete"], 137),
        ("exit 125", ["error", "complete"], 125),  # of a container that could not be started
    ],
)
def test_a_process_that_ends_before_its_last_event_has_complete(
    script: str, types: list[str], code: int
) -> None:
    sandbox = sandboxes.Processes(["sh", "-c", script])
    sandbox.start("a", {"prompt": "x", "runId": "run_1"})
    *events, (_, ended) = sandbox.happenings()
    assert ([each["type"] for _, each in events], ended) == (types, code)
    assert [each["seq"] for _, each in events] == list(range(len(events)))
    error = events[-1][1].get("error", {"message": ""})
    assert (f"its process has ended with status {code}" in error["message"]) == ("error" in types)
    sandbox.close()
