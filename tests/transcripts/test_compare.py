from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agent_runtime.transcripts.compare import compare
from agent_runtime.transcripts.masks import Masks
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


def test_streams_that_differ_in_workspace_and_time_are_equal() -> None:
    other = rewrite(USUAL, path_change("/work", "/tmp/x/new"))
    for number, item in enumerate(other):
        item |= {"seq": number + 5, "ts": "2027-01-01T00:00:00.000Z", "runId": "run_2"}
    other[0]["runtimeVersion"] = "9"
    other[3] |= {"durationMs": 999, "outputFile": "/elsewhere/out"}
    assert (
        compare(USUAL, other, masks=Masks(executed=False), old_workspace="/work", new_workspace="/tmp/x/new")
        is None
    )
    assert (
        compare(USUAL, other, masks=Masks(executed=False), old_workspace="/work", new_workspace="/other")
        is not None
    )


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
def test_values_that_vary_between_runs_are_masked_when_tools_ran(case: str) -> None:
    was, now = ([json.loads(result(0, text))] for text in SAME_WHERE_TOOLS_RAN[case])
    assert compare(was, now, masks=Masks(executed=True)) is None
    assert compare(was, now, masks=Masks(executed=False)) is not None


DIFFERENT = {
    "output": [result(3, "made /work/b"), complete(4)],
    "exit status": [result(3, "made /work/a", exitCode=1), complete(4)],
    "outcome": [result(3, "made /work/a", outcome="timed_out"), complete(4)],
    "a fixed port": [result(3, "made /work/a"), server(4, 8000), complete(5)],
    "files": [result(3, "made /work/a"), complete(4, deletedFiles=["/work/b"])],
    "a file created in the background": [
        result(3, "made /work/a"),
        edit(4, "/work/log", None),
        complete(5),
    ],
    "a further event": [result(3, "made /work/a"), event("notice", 4, code="x", message="y"), complete(5)],
    "an end that is missing": [result(3, "made /work/a")],
    "a result that is missing": [complete(4)],
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_relevant_differences_are_found(case: str) -> None:
    now = [*USUAL[:3], *stream(*DIFFERENT[case])]
    assert compare(USUAL, now, masks=Masks(executed=True)) is not None
    assert compare(now, USUAL, masks=Masks(executed=True)) is not None


def test_costs_are_ignored_and_tokens_are_not() -> None:
    def run(cost: float, tokens: int) -> list[Json]:
        return [*USUAL[:4], *stream(complete(4, usage={"inputTokens": tokens, "costUsd": cost}))]

    assert compare(run(0.1, 9), run(0.2, 9), masks=Masks(executed=False)) is None
    assert compare(run(0.1, 9), run(0.1, 8), masks=Masks(executed=False)) is not None


def test_differences_in_timing_are_ignored() -> None:
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
    assert compare(one, two, masks=Masks(executed=True)) is None


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("wait 30 s", "wait 60 s"),
        ("pid 12", "pid 13"),
        ("0x7f1234567890", "0x111111111111"),
        ("/tmp/tmp.a", "/tmp/tmp.b"),
        ("Nov 28 14:21", "Oct 12 09:00"),
        ("2026-11-28T14:21:00Z", "2027-11-28T14:21:00Z"),
    ],
)
@pytest.mark.parametrize("source", ["shell", "tool"])
def test_contents_of_files_are_compared_exactly(was: str, now: str, source: str) -> None:
    one, two = (stream(edit(0, "/work/a", "c", diff=f"+{text}", source=source)) for text in (was, now))
    assert compare(one, two, masks=Masks(executed=True)) is not None
    assert compare(one, two, masks=Masks(executed=True, extra=[re.compile(r".+")])) is None


def test_binary_files_are_compared_by_their_digest() -> None:
    was, now = (
        stream(edit(0, "/work/a.bin", "c", binary=True, diff="", sha256=digest)) for digest in ("x", "y")
    )
    assert compare(was, now, masks=Masks(executed=True)) is not None


@pytest.mark.parametrize("case", SAME_WHERE_TOOLS_RAN)
def test_strict_masks_nothing(case: str) -> None:
    was, now = ([json.loads(result(0, text))] for text in SAME_WHERE_TOOLS_RAN[case])
    assert compare(was, now, masks=Masks(executed=True, strict=True)) is not None


def test_a_mask_of_the_caller_is_added() -> None:
    was, now = ([json.loads(result(0, text))] for text in ("build 17", "build 18"))
    assert compare(was, now, masks=Masks(executed=True)) is not None
    assert (
        compare(was, now, masks=Masks(executed=True, strict=True, extra=[re.compile(r"build \d+")])) is None
    )


def test_the_message_shows_where_and_what() -> None:
    now = [*USUAL[:3], *stream(result(7, "made\nnothing"), complete(8))]
    divergence = compare(
        [*USUAL[:3], *stream(result(3, "made\nit"), complete(4))], now, masks=Masks(executed=True)
    )
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
