"""Process 1 of the virtual machine, with a standby that is played by the test: whatever happens, a run gets its end."""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
FOLDERS = [str(REPO / "sandbox-image/vm"), str(REPO / "examples/fc_agent")]
Json = dict[str, Any]

sys.path[:0] = FOLDERS
init, channel, machine, machines = map(importlib.import_module, ("init", "channel", "machine", "machines"))
del sys.path[: len(FOLDERS)]

SECONDS = 60.0
VICTIM = 77  # the pid of a process that was killed because memory was short


class PoweredOff(BaseException):
    pass


def power_off() -> None:
    raise PoweredOff


class FakeStandby:
    """Takes connections as a standby does, and lets the test write the events."""

    is_broken = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repairs = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(SECONDS)

    def listen(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen()

    @property
    def is_ready(self) -> bool:
        return self.path.exists()

    def repair(self) -> None:
        self.repairs += 1

    def accept(self, lines: int = 2) -> tuple[socket.socket, list[Json]]:
        """Return the next connection, and its first lines: preamble, request, control lines."""
        connection, _ = self._listener.accept()
        connection.settimeout(SECONDS)
        with connection.makefile("rb") as stream:
            return connection, [json.loads(stream.readline()) for _ in range(lines)]

    def play(self, events: bytes) -> None:
        """Let the next run write this, and end."""
        connection, _ = self.accept()
        with connection:
            connection.sendall(events)


@dataclass
class Vm:
    host: Any
    standby: FakeStandby

    def flush(self) -> None:
        """Write all messages to the machine, which has not begun to write events."""
        self.host._exchange(0.01)
        while self.host._link.outgoing:
            self.host._exchange(0.01)

    def follow(self) -> dict[str, tuple[list[Json], int]]:
        return follow(self.host)


def follow(host: Any) -> dict[str, tuple[list[Json], int]]:
    """Return the events and exit statuses of all runs."""
    events: dict[str, list[Json]] = {}
    codes = {}
    for id, what in host.happenings():
        if isinstance(what, int):
            codes[id] = what
        else:
            events.setdefault(id, []).append(what)
    return {id: (events.get(id, []), code) for id, code in codes.items()}


@pytest.fixture
def vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vm]:
    monkeypatch.setattr(machine, "power_off", power_off)
    monkeypatch.setattr(machine, "was_killed_for_memory", lambda pid: pid == VICTIM)
    outside, inside = socket.socketpair()
    inside.setblocking(False)
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    standby = FakeStandby(tmp_path / "s")
    process_1 = init.Init(channel.Channel(fd=inside.fileno()), standby, reading)

    def serve() -> None:
        with suppress(PoweredOff):
            process_1.serve()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    vm = Vm(machines.Machine(lambda: outside), standby)
    yield vm
    vm.host.close()
    thread.join(SECONDS)
    assert not thread.is_alive()
    standby._listener.close()
    inside.close()
    os.close(reading)
    os.close(writing)


def event(type: str, seq: int, **more: Any) -> bytes:
    envelope = {"type": type, "seq": seq, "ts": "2026-01-01T00:00:00.000Z", "runId": "run_1"}
    return json.dumps(envelope | more, separators=(",", ":")).encode() + b"\n"


START = event("start", 0, threadId="t1", metadata={"a": 1})
EDIT = event("file_edit", 1, action="create", path="/workspace/a", diff="+x\n")
COMPLETE = event("complete", 2, status="completed")
EXIT = b'{"exit": 0}\n'
MEMORY, ENDED = "killed because the machine is out of memory", "its process has ended"


@pytest.mark.parametrize(
    ("written", "code", "reason"),
    [
        pytest.param(START + EDIT + COMPLETE + EXIT, 0, "", id="completed"),
        pytest.param(START + EDIT + COMPLETE, 137, "", id="killed after complete"),
        pytest.param(b"", 137, ENDED, id="not started"),
        pytest.param(b'{"pid": 77}\n', 137, MEMORY, id="killed before start"),
        pytest.param(b'{"pid": 77}\n' + START + EDIT, 137, MEMORY, id="killed for memory"),
        pytest.param(b'{"pid": 5}\n' + START + EDIT, 137, ENDED, id="killed"),
        pytest.param(START + EDIT + COMPLETE[:-5], 137, ENDED, id="killed in a line"),
        pytest.param(START + event("tool_call", 1, id="c"), 137, ENDED, id="killed in a tool"),
        pytest.param(START + b'{"exit": 1}\n', 1, ENDED, id="reports a status, and no event"),
    ],
)
def test_every_run_ends_with_complete(vm: Vm, written: bytes, code: int, reason: str) -> None:
    vm.standby.listen()
    vm.host.start("a", {"prompt": "x", "runId": "run_1"})
    player = threading.Thread(target=vm.standby.play, args=(written,))
    player.start()
    events, ended = vm.follow()["a"]
    player.join(SECONDS)
    assert [each["seq"] for each in events] == list(range(len(events)))
    assert [each["type"] for each in events].count("complete") == 1
    last = events[-1]
    assert (last["type"], last["runId"], ended) == ("complete", "run_1", code)
    assert reason in last.get("error", {}).get("message", "")
    assert bool(reason) == (last["status"] == "failed") == (events[-2]["type"] == "error")
    if reason and EDIT in written:
        assert (last["files"], last["threadId"], last["metadata"]) == (["/workspace/a"], "t1", {"a": 1})


def test_runs_wait_for_a_standby_that_starts_and_control_lines_wait_with_them(vm: Vm) -> None:
    for name in ("a", "b"):
        vm.host.start(name, {"prompt": name})
        vm.host.control(name, {"action": "cancel", "name": name})
    vm.flush()
    vm.standby.listen()
    for name in ("a", "b"):
        connection, (_, request, control) = vm.standby.accept(3)
        assert (request["prompt"], control) == (name, {"action": "cancel", "name": name})
        with connection:
            connection.sendall(START + EDIT + COMPLETE + EXIT)
    assert {name: code for name, (_, code) in vm.follow().items()} == {"a": 0, "b": 0}


def test_a_standby_that_does_not_start_is_reported_and_tried_again(vm: Vm) -> None:
    vm.standby.is_broken = True
    with pytest.raises(RuntimeError, match="the standby does not start"):
        vm.host.wait_ready()
    vm.host.start("a", {"prompt": "x", "runId": "run_9"})
    events, code = vm.follow()["a"]
    assert (code, [each["type"] for each in events], events[0]["runId"]) == (
        1,
        ["error", "complete"],
        "run_9",
    )
    assert "the standby of the machine does not start" in events[-1]["error"]["message"]
    assert vm.standby.repairs >= 1


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"start": 5, "request": {}},
        {"start": None},
        {"command": "c"},
        {"command": "c", "arguments": 5},
        {"command": ["c"], "arguments": []},
        {"control": "a", "line": "x"},
        {"vm": "dance"},
        {"vm": "thaw", "entropy": "no hexadecimal"},
        {"vm": "thaw", "time": "late"},
    ],
    ids=str,
)
def test_an_invalid_message_is_answered_and_changes_nothing(vm: Vm, message: Json) -> None:
    vm.standby.listen()
    vm.host.wait_ready()
    vm.host._link.send(message)
    vm.host._under_way.add("nothing")
    with pytest.raises(RuntimeError, match="the machine refuses a message"):
        vm.follow()
    vm.host._under_way.clear()
    vm.host.start("a", {"prompt": "x"})
    vm.flush()
    vm.standby.play(START + EDIT + COMPLETE + EXIT)
    assert vm.follow()["a"][1] == 0


@pytest.mark.parametrize("start", [{}, {"request": {}, "env": 5}, {"request": {}, "env": ["x"]}], ids=str)
def test_an_invalid_start_is_a_run_that_fails(vm: Vm, start: Json) -> None:
    vm.standby.listen()
    vm.host._endings.begin("a", {})
    vm.host._under_way.add("a")
    vm.host._link.send({"start": "a", **start})
    events, code = vm.follow()["a"]
    assert (code, events[-1]["type"]) == (1, "complete")
    assert "the message is invalid" in events[-1]["error"]["message"]


def test_a_name_that_is_under_way_is_refused(vm: Vm) -> None:
    vm.standby.listen()
    vm.host.start("a", {"prompt": "x"})
    vm.host.start("a", {"prompt": "y"})
    with pytest.raises(RuntimeError, match="a run of this name is under way"):
        vm.follow()
    vm.standby.play(START + EDIT + COMPLETE + EXIT)
    assert vm.follow()["a"][1] == 0


def test_a_run_that_reads_nothing_does_not_stop_the_others(vm: Vm) -> None:
    vm.standby.listen()
    long = "x" * 3_000_000
    vm.host.start("reads nothing", {"prompt": long})
    vm.flush()
    silent, _ = vm.standby.accept(0)
    vm.host.start("other", {"prompt": "x"})
    vm.flush()
    vm.standby.play(START + EDIT + COMPLETE + EXIT)
    happened = vm.host.happenings()
    assert [next(happened)[0] for _ in range(4)] == ["other"] * 4
    with silent, silent.makefile("rb") as stream:
        preamble, request = json.loads(stream.readline()), json.loads(stream.readline())
        assert ([*preamble], request) == (["standby"], {"prompt": long})
        silent.sendall(START + EDIT + COMPLETE + EXIT)
        silent.shutdown(socket.SHUT_WR)
        assert dict(happened)["reads nothing"] == 0


def test_the_end_of_the_machine_is_the_end_of_its_runs() -> None:
    outside, inside = socket.socketpair()
    connections = iter([outside])

    def connect() -> socket.socket:
        for connection in connections:
            return connection
        raise ConnectionRefusedError(111, "Connection refused")

    host = machines.Machine(connect)
    guest = machines.Link()
    guest.connect()
    for line in (START, EDIT):
        guest.send({"event": "a", "line": line.decode().strip()})
    inside.sendall(guest.outgoing)
    for name in ("a", "b"):
        host.start(name, {"prompt": "x", "runId": f"run_{name}"})
    inside.shutdown(socket.SHUT_WR)
    ends = follow(host)
    inside.close()
    assert {name: code for name, (_, code) in ends.items()} == {"a": 137, "b": 137}
    for name, (events, _) in ends.items():
        assert events[-1]["type"] == "complete" and events[-1]["status"] == "failed", name
        assert "the machine has ended (Connection refused)" in events[-1]["error"]["message"]
    assert [each["seq"] for each in ends["a"][0]] == [0, 1, 2, 3]
    assert ends["a"][0][-1]["files"] == ["/workspace/a"]
