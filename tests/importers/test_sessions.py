"""Sessions that codex and Claude Code have written, of several versions: made by the programs with a scripted model.

Which shapes are in which file of `sessions/`:

    codex-0.25              bare items, no tokens, no times; outputs are JSON texts
    codex-0.80              `payload`, `token_count`, `custom_tool_call`; a session that was continued
    codex-0.171             `token_usage_record`, `item_completed` with the changes of files
    codex-0.171-agents/     a session that has started a sub-agent, and the rollout of that
    claude-1.0.60           a sub-agent in the same file
    claude-1.0.120-continued  begins with a copy of the earlier session, whose times are lost
    claude-2.0.20           sub-agents in the same file, two of them of Claude Code's own; `toolUseResult` with patches
    claude-2.1.197/         the sub-agent in a file of its own; parallel calls that end in another order
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.importers.recorded import kind_of, read_recorded
from agent_runtime.transcripts.reader import Transcript, read
from agent_runtime.transcripts.records import ControlRecord

SESSIONS = Path(__file__).with_name("sessions")
FILES = sorted(path for path in SESSIONS.rglob("*.jsonl") if "subagents" not in path.parts)
CLAUDE = SESSIONS / "claude-2.1.197/2a45b66a-ec8d-48a1-8a49-60063224983a.jsonl"
PARENT = next((SESSIONS / "codex-0.171-agents").glob("*-01a2253b-3f64-*.jsonl"))
ANSWER = "notes.txt says three now."
Event = dict[str, Any]


def imported(path: Path) -> Transcript:
    return read_recorded(path)


def of_type(transcript: Transcript, *kinds: str) -> list[Event]:
    return [event for event in transcript.events if event["type"] in kinds]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_session_is_a_transcript_that_keeps_the_promises_of_the_event_stream(
    path: Path, tmp_path: Path
) -> None:
    transcript = imported(path)
    written = tmp_path / "t.ndjson"
    written.write_text("".join(record.model_dump_json(by_alias=True) + "\n" for record in transcript.records))
    again = read(written)  # validates every record
    assert again.events == transcript.events
    events = transcript.events
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("start", "complete")
    assert {event["runId"] for event in events} == {transcript.header.run_id}
    calls = [event["id"] for event in of_type(transcript, "tool_call")]
    results = [event["id"] for event in of_type(transcript, "tool_result")]
    assert Counter(calls) == Counter(results)
    assert not [event for event in of_type(transcript, "notice") if event["code"] == "history_repaired"]
    assert kind_of(path) == path.relative_to(SESSIONS).parts[0].partition("-")[0]


@pytest.mark.parametrize(
    ("name", "calls", "turns", "tokens", "files"),
    [
        ("codex-0.25", ["shell", "update_plan", "shell", "shell"], 5, 0, 0),
        ("codex-0.80", ["shell_command", "update_plan", "apply_patch"] + ["shell_command"] * 2, 6, 720, 0),
        ("codex-0.171", ["exec_command", "update_plan"] + ["exec_command"] * 3, 6, 720, 2),
        ("claude-1.0.60", ["Bash", "Read", "Task", "Bash", "Nope"], 6, 720, 0),
        ("claude-1.0.120-continued", ["Bash", "Read", "Edit", "Write", "Task", "Nope"], 6, 720, 0),
        ("claude-2.0.20", ["Bash", "Read", "Edit", "Write", "Task", "Bash", "Nope"], 10, 1200, 2),
        (
            CLAUDE.relative_to(SESSIONS).with_suffix("").as_posix(),
            ["Bash", "Read", "Edit", "Write", "Agent", "Bash", "Nope"],
            8,
            960,
            2,
        ),
    ],
)
def test_calls_tokens_and_changes(name: str, calls: list[str], turns: int, tokens: int, files: int) -> None:
    transcript = imported(SESSIONS / f"{name}.jsonl")
    assert [event["tool"] for event in of_type(transcript, "tool_call")] == calls
    [complete] = of_type(transcript, "complete")
    assert (complete["status"], complete["output"]) == ("completed", ANSWER)
    assert (complete["iterations"], complete["usage"]["totalTokens"]) == (turns, tokens)
    assert [Path(file).name for file in complete["files"]] == ["new.txt", "notes.txt"][:files]
    assert transcript.header.workspace == "/home/user/project"
    assert transcript.request.request["messages"][0]["content"] == "Change two to three in notes.txt."
    first = of_type(transcript, "tool_result")
    assert any("ls: cannot access 'missing'" in event["output"] and event["isError"] for event in first)
    texts = [event["content"] for event in of_type(transcript, "thinking")]
    assert [text for text in texts if text in ("Look at the files first.", "I look first.")] == [
        "Look at the files first.",
        "I look first.",
    ]


@pytest.mark.parametrize(
    ("name", "question"),
    [("codex-0.80", "And print it."), ("codex-0.171", "And print it."), ("claude-2.0.20", "Is it done?")],
)
def test_later_messages_of_the_user_are_inputs(name: str, question: str) -> None:
    transcript = imported(SESSIONS / f"{name}.jsonl")
    inputs = [record for record in transcript.records if isinstance(record, ControlRecord)]
    assert [(record.action, record.text) for record in inputs] == [("input", question)]


def test_exit_codes_and_durations_come_from_the_texts_of_codex() -> None:
    for name in ("codex-0.25", "codex-0.80", "codex-0.171"):
        result = of_type(imported(SESSIONS / f"{name}.jsonl"), "tool_result")[0]
        assert (result["exitCode"], result["outcome"]) == (2, "failed")
        assert result["output"] == "one\ntwo\nls: cannot access 'missing': No such file or directory\n"


@pytest.mark.parametrize("path", [SESSIONS / "codex-0.171.jsonl", CLAUDE], ids=["codex", "claude"])
def test_changes_can_be_applied(path: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    for event in of_type(imported(path), "file_edit"):
        subprocess.run(["git", "apply", "-"], input=event["diff"].encode(), cwd=tmp_path, check=True)
    assert (tmp_path / "notes.txt").read_text() == "one\nthree\n"
    assert (tmp_path / "new.txt").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("path", "spawned", "inner"),
    [(PARENT, "spawn_agent", "In the sub-agent."), (CLAUDE, "Agent", "Looking in the sub-agent.")],
    ids=["codex", "claude"],
)
def test_sub_agents_in_files_of_their_own_are_found(path: Path, spawned: str, inner: str) -> None:
    transcript = imported(path)
    [notice] = [event for event in of_type(transcript, "notice") if event["code"] == "subagent"]
    [call] = [event for event in of_type(transcript, "tool_call") if event["tool"] == spawned]
    [text] = [event for event in of_type(transcript, "thinking") if event["content"] == inner]
    assert call["seq"] < notice["seq"] < text["seq"]
    assert text["turn"] not in [event["turn"] for event in of_type(transcript, "tool_call")[:1]]
    alone = imported(next(iter(sorted(path.parent.rglob("agent-*.jsonl")))) if spawned == "Agent" else path)
    assert inner in json.dumps(alone.events)


def test_a_session_that_was_cut_off_has_no_end(tmp_path: Path) -> None:
    for source in (SESSIONS / "codex-0.171.jsonl", SESSIONS / "claude-2.0.20.jsonl"):
        lines = source.read_text().splitlines(keepends=True)
        for count in range(1, len(lines)):
            path = tmp_path / source.name
            path.write_text("".join(lines[:count]))
            if kind_of(path) is None:
                continue
            transcript = imported(path)
            calls = {event["id"] for event in of_type(transcript, "tool_call")}
            results = {event["id"] for event in of_type(transcript, "tool_result")}
            assert results <= calls
            ended = bool(of_type(transcript, "complete"))
            assert ended == (transcript.end is not None)
            assert not (ended and calls != results)
