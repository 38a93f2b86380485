from __future__ import annotations

import json
from typing import Any

import pytest

from agent_runtime.transcripts.compare import compare
from agent_runtime.transcripts.rewrite import path_change, rewrite
from tests.transcripts.recordings import event, start

Json = dict[str, Any]


def stream(*lines: str) -> list[Json]:
    return [json.loads(line) for line in lines]


def call(seq: int, id: str = "c1") -> str:
    return event("tool_call", seq, id=id, tool="bash", input={"command": "make"}, turn=1)


def result(seq: int, output: str, id: str = "c1", **more: Any) -> str:
    fields = {"isError": False, "outcome": "completed", "durationMs": seq, "exitCode": 0, "turn": 1}
    return event("tool_result", seq, id=id, tool="bash", output=output, **fields | more)


def edit(seq: int, path: str, call_id: str | None = "c1", diff: str = "+a", **more: Any) -> str:
    fields = {"action": "create", "diff": diff, "additions": 1, "deletions": 0, "source": "shell"} | more
    return event("file_edit", seq, path=path, **fields, **({"toolCallId": call_id} if call_id else {}))


def server(seq: int, port: int, status: str = "up") -> str:
    url = f"http://127.0.0.1:{port}"
    return event("dev_url", seq, url=url, localUrl=url, port=port, status=status, pid=seq, loopbackOnly=True)


def complete(seq: int, **more: Any) -> str:
    fields: Json = {"status": "completed", "stopReason": "end_turn", "output": "done", "result": "done"}
    return event(
        "complete", seq, **fields, files=["/work/a"], devUrl=None, devUrls=[], durationMs=seq, **more
    )


USUAL = stream(start(), call(1), edit(2, "/work/a"), result(3, "made /work/a"), complete(4))


def test_a_stream_is_like_itself_in_another_workspace_at_another_time() -> None:
    other = rewrite(USUAL, path_change("/work", "/tmp/x/new"))
    for number, item in enumerate(other):
        item |= {"seq": number + 5, "ts": "2027-01-01T00:00:00.000Z", "runId": "run_2"}
    other[0]["runtimeVersion"] = "9"
    other[3] |= {"durationMs": 999, "outputFile": "/elsewhere/out"}
    assert compare(USUAL, other, executed=False, old_workspace="/work", new_workspace="/tmp/x/new") is None
    assert compare(USUAL, other, executed=False, old_workspace="/work", new_workspace="/other") is not None


SAME_WHERE_TOOLS_RAN = {
    "durations": ("Ran 3 tests in 0.004s", "Ran 3 tests in 0.120s"),
    "clock": ("at 2026-01-02T03:04:05Z, 03:04:05", "at 2027-11-12T13:14:15Z, 13:14:15"),
    "ls": ("-rw-r--r-- 1 u u 5 Jan  2 03:04 a", "-rw-r--r-- 1 u u 5 Nov 12 13:14 a"),
    "pids": ("[1] 4711\npid 4711", "[1] 99\npid 99"),
    "ports of the kernel's": ("http://127.0.0.1:43210/", "http://127.0.0.1:59999/"),
    "git": ("[main 1a2b3c4] x", "[main 9f8e7d6] x"),
    "temporary folders": ("/tmp/tmpab12/x", "/tmp/tmpcd34/x"),
}


@pytest.mark.parametrize("case", SAME_WHERE_TOOLS_RAN)
def test_what_differs_from_run_to_run_is_blanked_where_tools_ran(case: str) -> None:
    was, now = ([json.loads(result(0, text))] for text in SAME_WHERE_TOOLS_RAN[case])
    assert compare(was, now, executed=True) is None
    assert compare(was, now, executed=False) is not None


DIFFERENT = {
    "output": [result(3, "made /work/b"), complete(4)],
    "exit status": [result(3, "made /work/a", exitCode=1), complete(4)],
    "outcome": [result(3, "made /work/a", outcome="timed_out"), complete(4)],
    "a fixed port": [result(3, "made /work/a"), server(4, 8000), complete(5)],
    "files": [result(3, "made /work/a"), complete(4, deletedFiles=["/work/b"])],
    "a further event": [result(3, "made /work/a"), event("notice", 4, code="x", message="y"), complete(5)],
    "an end that is missing": [result(3, "made /work/a")],
    "a result that is missing": [complete(4)],
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_matters_is_found(case: str) -> None:
    now = [*USUAL[:3], *stream(*DIFFERENT[case])]
    assert compare(USUAL, now, executed=True) is not None
    assert compare(now, USUAL, executed=True) is not None


def test_timing_is_no_difference() -> None:
    one = stream(
        start(),
        call(1, "a"),
        call(2, "b"),
        edit(3, "/work/1", "a"),
        result(4, "1", "a"),
        edit(5, "/work/2", "b"),
        result(6, "2", "b"),
        server(7, 40001),
        edit(8, "/work/log", None),
        event("heartbeat", 9, awaiting="model", since="x"),
        complete(10),
    )
    two = stream(
        start(),
        call(1, "a"),
        call(2, "b"),
        edit(3, "/work/2", "b"),
        edit(4, "/work/log.tmp", None, diff="+b"),
        edit(4, "/work/log", None, action="rename", oldPath="/work/log.tmp"),
        edit(4, "/work/x", None, action="create"),
        edit(4, "/work/x", None, action="delete"),
        result(5, "2", "b"),
        event("text_delta", 6, delta="x", turn=1),
        edit(7, "/work/1", "a"),
        result(8, "1", "a"),
        edit(9, "/work/log", None, diff="+c", action="modify"),
        server(10, 40002),
        server(11, 40002, "down"),
        complete(12),
    )
    assert compare(one, two, executed=True) is None


def test_compiled_files_hold_the_time_of_their_making() -> None:
    was, now = (stream(edit(0, "/work/a.pyc", binary=True, diff=diff, sha256=diff)) for diff in ("x", "y"))
    assert compare(was, now, executed=True) is None
    for item in (*was, *now):
        item["source"] = "tool"
    assert compare(was, now, executed=True) is not None


def test_the_message_shows_where_and_what() -> None:
    now = [*USUAL[:3], *stream(result(7, "made\nnothing"), complete(8))]
    divergence = compare([*USUAL[:3], *stream(result(3, "made\nit"), complete(4))], now, executed=True)
    assert str(divergence) == (
        "the replay diverges from the recording at `tool_result` c1 bash of turn 1 (seq 3, now 7)\n"
        "  field: output\n"
        "    --- recorded\n"
        "    +++ now\n"
        "    @@ -1,2 +1,2 @@\n"
        "     made\n"
        "    -it\n"
        "    +nothing\n"
        "  just before, the same in both:\n"
        "    `start`\n"
        "    `tool_call` c1 bash of turn 1\n"
        "    `file_edit` /work/a"
    )
    assert divergence is not None
    assert divergence.details() == {"recordedSeq": 3, "seq": 7, "field": "output"}
