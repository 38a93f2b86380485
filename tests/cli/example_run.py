"""The events of a run in which there is one of nearly everything, and its recording."""

from __future__ import annotations

from pathlib import Path

from agent_runtime.protocol.messages import Image, Text
from agent_runtime.protocol.tool_output import ToolOutput
from tests.transcripts.recordings import begun, event, start

USAGE = {"inputTokens": 1000, "outputTokens": 50, "cachedInputTokens": 400, "cacheWriteTokens": 0}
TOTAL = USAGE | {"reasoningTokens": 0, "totalTokens": 1050}
RESULT = {"isError": True, "outcome": "failed", "durationMs": 1234, "exitCode": 1, "turn": 1}
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -7,2 +7,2 @@\n--- old\n+new\n same\n"
EVIL = "<script>alert(1)</script>\x1b[2J\x1b]0;title\x07"

LONG = "\n".join(f"line {n}" for n in range(40)) + EVIL

LINES = [
    start(),
    event("thinking", 1, content="hmm, " + "long " * 40, kind="reasoning", turn=1),
    event("thinking", 2, content="I will look.", kind="text", turn=1),
    event("tool_call", 3, id="1", tool="bash", input={"command": "make"}, turn=1),
    event(
        "file_edit",
        4,
        path="/work/x.py",
        action="modify",
        diff=DIFF,
        additions=1,
        deletions=1,
        source="shell",
        toolCallId="1",
        truncated=True,
        diffFile="/state/1.patch",
    ),
    event("tool_result", 5, id="1", tool="bash", output=LONG, **RESULT),
    event("tool_call", 6, id="2", tool="edit", input={"command": "view", "path": "/work"}, turn=1),
    event("tool_call", 7, id="3", tool="exec_command", input={"cmd": "a\nb"}, turn=1),
    event("dev_url", 8, url="http://x:80", localUrl="", port=80, status="up", loopbackOnly=True),
    event("usage", 9, turn=1, contextTokens=1050, contextWindow=200000, **TOTAL),
    event("error", 10, code="overloaded", message="busy", retryable=True, attempt=1, retryInMs=500),
    event("notice", 11, code="limit_near", message="two turns are left"),
    event(
        "complete",
        12,
        status="failed",
        stopReason="max_turns",
        output="# Done\n\nall **good** " + EVIL,
        result="",
        files=["/work/x.py"],
        deletedFiles=["/work/y"],
        devUrl="http://x:80",
        devUrls=[],
        iterations=3,
        durationMs=65000,
        usage=TOTAL,
    ),
]  # fmt: skip


def recorded(path: Path) -> Path:
    """Record the run, with a control message and an image, and return the path of the transcript."""
    recorder = begun(path)
    recorder.control("input", text="further input")
    for line in LINES[:6]:
        recorder.event(line)
    picture = ToolOutput(content=(Text(text="x"), Image(media_type="image/png", data="iVBORw0KGgo=")))
    recorder.tool_result("1", "bash", picture, 40)
    for line in LINES[6:]:
        recorder.event(line)
    recorder.end(status="failed", exit_code=3)
    return path
