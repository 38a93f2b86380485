"""What the last events of a killed run say: they are made from the events that it has written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_runtime.server.killed_run import last_events

Json = dict[str, Any]


def stream(*events: Json) -> list[Json]:
    return [
        {**event, "seq": seq, "ts": "2026-01-01T00:00:00.000Z", "runId": "r1"}
        for seq, event in enumerate(events)
    ]


def complete(*events: Json) -> Json:
    lines = last_events("r1", "t1", stream(*events)).splitlines()
    error, last = map(json.loads, lines)
    assert (error["type"], error["seq"], last["seq"]) == ("error", len(events), len(events) + 1)
    assert (last["type"], last["runId"], last["threadId"]) == ("complete", "r1", "t1")
    assert (last["status"], last["error"]["code"]) == ("failed", "internal_error")
    return dict(last)


def edit(path: str, action: str, old: str | None = None) -> Json:
    return {"type": "file_edit", "path": path, "action": action} | ({"oldPath": old} if old else {})


def test_a_run_killed_before_start_has_both_events() -> None:
    last = complete()
    assert (last["files"], last["devUrl"], last["iterations"], last["durationMs"]) == ([], None, 0, 0)


@pytest.mark.parametrize(
    ("edits", "files", "deleted"),
    [
        ([edit("a", "create"), edit("b", "modify")], ["a", "b"], []),
        ([edit("a", "modify"), edit("a", "delete")], [], ["a"]),
        ([edit("a", "create"), edit("a", "delete")], [], []),
        ([edit("a", "delete"), edit("a", "create")], ["a"], []),
        ([edit("b", "rename", "a")], ["b"], ["a"]),
        ([edit("a", "create"), edit("b", "rename", "a")], ["b"], []),
        ([edit("b", "rename", "a"), edit("c", "rename", "b")], ["c"], ["a"]),
        ([edit("a", "delete"), edit("a", "create"), edit("a", "delete")], [], ["a"]),
    ],
)
def test_files_are_the_net_effect_of_the_edits(
    edits: list[Json], files: list[str], deleted: list[str]
) -> None:
    last = complete(*edits)
    assert (last["files"], last["deletedFiles"]) == (files, deleted)


def test_usage_is_the_sum_of_the_calls() -> None:
    call = {
        "type": "usage",
        "inputTokens": 10,
        "outputTokens": 2,
        "cachedInputTokens": 4,
        "cacheWriteTokens": 1,
        "reasoningTokens": 1,
        "costUsd": 0.25,
    }
    last = complete({**call, "turn": 1}, {**call, "turn": 2, "estimated": True})
    assert last["usage"]["costUsd"] == 0.5
    assert complete({**call, "turn": 1, "costUsd": None})["usage"]["costUsd"] is None
    usage = last["usage"]
    assert (usage["inputTokens"], usage["promptTokens"], usage["completionTokens"]) == (20, 20, 4)
    assert (usage["totalTokens"], usage["cachedInputTokens"], usage["estimated"]) == (24, 8, True)
    assert last["iterations"] == 2


def test_identity_is_that_of_start() -> None:
    start = {"type": "start", "sandboxId": "s1", "rolloutId": "ro", "executionMode": "managed"}
    last = complete({**start, "metadata": {"a": [1]}})
    assert (last["sandboxId"], last["rolloutId"], last["metadata"]) == ("s1", "ro", {"a": [1]})
    assert last["executionMode"] == "managed"


def test_only_servers_that_still_listen_are_listed() -> None:
    server = {"type": "dev_url", "localUrl": "http://localhost", "pid": 1, "loopbackOnly": True}
    last = complete(
        {**server, "url": "http://a", "port": 1, "status": "up"},
        {**server, "url": "http://b", "port": 2, "status": "up"},
        {**server, "url": "http://a", "port": 1, "status": "down"},
    )
    assert [row["url"] for row in last["devUrls"]] == ["http://b"] and last["devUrl"] == "http://b"
