"""Real runs against a scripted model: recorded, and replayed with recorded and with real tools."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Turn
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.runtime import COMMAND, run
from agent_runtime.transcripts.compare import compare
from agent_runtime.transcripts.masks import Masks
from agent_runtime.transcripts.reader import read
from tests.transcripts.runs import record, replay, tree

EDIT = "str_replace_based_edit_tool"
REPLAY_SECONDS = 2.0  # for 200 turns with recorded tools


def working_day(folder: Path, turns: int) -> list[Turn]:
    """Edits and commands in turn: creates, replacements, shell edits, failures, calls side by side."""

    def step(number: int) -> list[tuple[Any, ...]]:
        path = str(folder / "live" / f"file{number // 5}.txt")
        match number % 5:
            case 0:
                return [(EDIT, {"command": "create", "path": path, "file_text": f"one\ntwo {number}\n"})]
            case 1:
                return [(EDIT, {"command": "str_replace", "path": path, "old_str": "one", "new_str": "eins"})]
            case 2:
                return [("bash", {"command": f"sed -i s/two/zwei/ {path} && cat {path}; echo é >> log"})]
            case 3:
                return [(EDIT, {"command": "view", "path": path}), ("bash", {"command": "pwd; exit 3"})]
            case _:
                return [("bash", {"command": f"mv {path} {path}.old; ls; echo $((A += 1))"})]

    made = [
        Turn(
            text=f"Step {number}.", thinking="hm" * (number % 3), calls=[Call(*call) for call in step(number)]
        )
        for number in range(turns - 1)
    ]
    return [*made, Turn(text=f"All done in {folder}/live.")]


def test_fifty_turns_replay_identically_with_recorded_and_real_tools(tmp_path: Path) -> None:
    live = record(tmp_path, working_day(tmp_path, 50))
    assert (live.code, live.complete["iterations"]) == (0, 50)
    before = tree(tmp_path / "live")
    assert len(before) == 11

    recorded = replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify")
    assert (recorded.code, recorded.stderr) == (0, "")
    volatile = {"ts", "runId", "durationMs"}
    assert [{k: v for k, v in event.items() if k not in volatile} for event in recorded.events] == [
        {k: v for k, v in event.items() if k not in volatile} for event in live.events
    ]
    assert tree(tmp_path / "live") == before

    again = tmp_path / "again"
    again.mkdir()
    executed = replay(tmp_path / "t.ndjson", "--workspace", str(again), "--verify")
    assert (executed.code, executed.stderr) == (0, "")
    assert tree(again) == before == tree(tmp_path / "live")
    assert (
        compare(
            live.events,
            executed.events,
            masks=Masks(executed=True),
            old_workspace=str(tmp_path / "live"),
            new_workspace=str(again),
        )
        is None
    )


@pytest.mark.timed
def test_two_hundred_turns_with_recorded_tools_take_less_than_two_seconds(tmp_path: Path) -> None:
    def call(number: int) -> Call:
        path = str(tmp_path / "live" / f"{number}.txt")
        return Call(EDIT, {"command": "create", "path": path, "file_text": f"{number}\n" * 20})

    script = [Turn(text=f"Step {n}.", thinking="hm", calls=[call(n)]) for n in range(199)]
    record(tmp_path, [*script, Turn(text="done")])
    before = os.times()
    again = replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify")
    after = os.times()
    assert (again.code, again.complete["iterations"]) == (0, 200)
    # CPU time, which does not depend on the load of the machine
    took = after.children_user + after.children_system - before.children_user - before.children_system
    assert took < REPLAY_SECONDS


@pytest.mark.parametrize("format", ["openai-responses", "openai-chat"])
def test_every_wire_format_replays(tmp_path: Path, format: WireFormat) -> None:
    script = [
        Turn(thinking="think", text="look", calls=[("exec_command", {"cmd": "echo hi > a; cat a"})]),
        Turn(text="done"),
    ]
    live = record(tmp_path, script, format)
    assert live.code == 0, live.stderr
    assert replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify").code == 0
    (tmp_path / "new").mkdir()
    assert replay(tmp_path / "t.ndjson", "--workspace", str(tmp_path / "new"), "--verify").code == 0
    assert (tmp_path / "new" / "a").read_text() == "hi\n"


@pytest.mark.timed
def test_failed_attempts_are_replayed_without_their_waits(tmp_path: Path) -> None:
    busy = Fault(529, headers={"retry-after": "1"}, code="overloaded_error", message="busy")
    script = [
        Turn(fault=busy),
        Turn(text="cut", fault=Fault(cut_after=3)),
        Turn(calls=[("bash", {"command": "echo hi"})]),
        Turn(text="bad", fault=Fault(error_in_stream=True, code="overloaded_error")),
        Turn(text="done"),
    ]
    live = record(tmp_path, script)
    assert (live.code, len(live.of("error"))) == (0, 3), live.events
    again = replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify")
    assert (again.code, again.complete["durationMs"] < 1000) == (0, True)
    codes = [[event["code"] for event in done.of("error")] for done in (live, again)]
    assert codes[0] == codes[1]


def test_a_history_is_recorded_with_the_files_it_was_made_of(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "notes.txt").write_text("remember the milk")
    parts = [{"type": "text", "text": "first"}, {"type": "file", "path": "notes.txt"}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "yes"}]
    with ModelServer([Turn(text="done")]) as server:
        options = ("--record", str(tmp_path / "t.ndjson"))
        request = {"messages": messages, "prompt": "second"}
        assert run(request, tmp_path / "live", server.environ("anthropic"), options).code == 0
    assert "remember the milk" in (tmp_path / "t.ndjson").read_text()
    (tmp_path / "live" / "notes.txt").unlink()
    assert replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify").code == 0


def test_a_replay_leaves_the_thread_alone(tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path / "state"))
    first = record(tmp_path, [Turn(text="one")], "anthropic", "--thread", "t1", *state)
    assert first.code == 0
    with ModelServer([Turn(text="two")]) as server:
        options = ("--record", str(tmp_path / "t.ndjson"), "--thread", "t1", *state)
        assert run({"prompt": "again"}, tmp_path / "live", server.environ("anthropic"), options).code == 0
        assert len(server.bodies[0]["messages"]) == 3
    before = tree(tmp_path / "state")
    again = replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify", *state)
    assert (again.code, again.complete["threadId"]) == (0, "t1")
    assert {name: data for name, data in tree(tmp_path / "state").items() if name in before} == before


def test_no_key_is_in_a_transcript(tmp_path: Path) -> None:
    key = "sk-ant-loopback-0123456789"
    script = [
        Turn(text=f"The key is {key}.", calls=[("bash", {"command": f"echo {key} | tee a"})]),
        Turn(text=f"done {key}"),
    ]
    record(tmp_path, script, "anthropic", "--partial")
    assert key not in (tmp_path / "t.ndjson").read_text()
    assert replay(tmp_path / "t.ndjson", "--tools", "recorded", "--verify").code == 0


def changed(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_verify_shows_the_first_difference_and_exits_4(tmp_path: Path) -> None:
    record(tmp_path, [Turn(calls=[("bash", {"command": "cat given"})]), Turn(text="done")])
    (tmp_path / "given-new").mkdir()
    (tmp_path / "given-new" / "given").write_text("not there before\n")
    options = ("--workspace", str(tmp_path / "given-new"))
    assert replay(tmp_path / "t.ndjson", *options).code == 0
    other = replay(tmp_path / "t.ndjson", *options, "--verify")
    assert other.code == 4
    assert "+not there before" in other.stderr and "`tool_result`" in other.stderr
    assert [event["code"] for event in other.of("error")] == ["replay_mismatch"]
    assert other.complete["status"] == "failed"
    assert other.complete["error"]["code"] == "replay_mismatch"


def test_a_run_that_asks_for_more_than_is_recorded(tmp_path: Path) -> None:
    record(tmp_path, [Turn(calls=[("bash", {"command": "true"})]), Turn(text="done")])
    lines = (tmp_path / "t.ndjson").read_text().splitlines(keepends=True)
    second = max(i for i, line in enumerate(lines) if line.startswith('{"kind":"model_response"'))
    (tmp_path / "t.ndjson").write_text("".join(lines[:second]))
    done = replay(tmp_path / "t.ndjson", "--tools", "recorded")
    assert (done.code, done.complete["error"]["code"]) == (4, "replay_mismatch")
    assert "the recorded run was killed before it ended" in done.complete["error"]["message"]


def test_bad_command_lines_and_damaged_transcripts_have_their_events(tmp_path: Path) -> None:
    record(tmp_path, [Turn(text="done")])
    path = tmp_path / "t.ndjson"
    bad = [
        (replay(path, "--workspace", str(tmp_path / "none")), "invalid_request", "workspace"),
        (replay(path), "invalid_request", "give --workspace DIR, or --tools recorded"),
        (replay(path, "--tools", "recorded", "--speed", "-1"), "invalid_request", "speed"),
        (replay(path, "--tools", "recorded", "--mask", "("), "invalid_request", "mask"),
        (replay(tmp_path / "none"), "transcript_error", "no such file"),
        (
            replay(changed(path, '"endpoints":[', '"endpoints":[1,'), "--tools", "recorded"),
            "transcript_error",
            "line 2",
        ),
    ]
    path.write_bytes(path.read_bytes()[:-7])
    bad.append((replay(path), "transcript_error", "is truncated in the middle"))
    for done, code, said in bad:
        assert (done.code, done.complete["error"]["code"]) == (2, code)
        assert said in done.complete["error"]["message"] and said in done.stderr
        assert [event["type"] for event in done.events] == ["error", "complete"]


def test_the_transcript_contains_the_events_as_written(tmp_path: Path) -> None:
    live = record(tmp_path, [Turn(text="a", calls=[("bash", {"command": "echo é"})]), Turn(text="b")])
    transcript = read(tmp_path / "t.ndjson")
    assert transcript.events == live.events
    assert transcript.end is not None
    assert transcript.end.exit_code == 0
    kinds = [record.kind for record in transcript.records if record.kind != "event"]
    assert kinds == [
        "header",
        "request",
        *("prompt", "model_call", "model_response", "tool_result"),
        *("prompt", "model_call", "model_response", "end"),
    ]
    assert json.loads(
        subprocess.run([*COMMAND, "schema", "transcript"], capture_output=True, check=True).stdout
    )
