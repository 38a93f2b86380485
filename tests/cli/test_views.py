"""What a person sees: the pretty stream, and the report."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent_runtime.cli.pretty import Pretty, rendered
from agent_runtime.cli.report import render, steps
from agent_runtime.protocol.messages import Image, Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.testing.runtime import COMMAND
from agent_runtime.transcripts.reader import read
from agent_runtime.transcripts.writer import Recorder
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


def shown(width: int = 80) -> str:
    file = io.StringIO()
    pretty = Pretty(file, width=width)
    for line in LINES:
        pretty.write(json.loads(line))
    pretty.write({"type": "unknown"})
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_pretty_output_fits_the_width_and_has_no_colors_without_a_terminal(width: int) -> None:
    text = shown(width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text and "\x07" not in text


def test_pretty_output_shows_calls_outputs_and_the_answer() -> None:
    text = shown(120)
    for said in (
        "I will look.",
        "▶ bash  make",
        "line 0",
        "… 29 more lines …",
        "line 38",
        "✗ exit 1 · 1.2 s",
    ):
        assert said in text
    for said in (
        "modify x.py  +1 -1\n       @@ -7,2 +7,2 @@\n     7 --- old\n     7 +new\n     8  same\n",
        "the whole diff: /state/1.patch",
        "server up at http://x:80",
        "overloaded: busy (again in 0.5 s)",
    ):
        assert said in text
    for said in (
        "view /work",
        "two turns are left",
        "failed (max_turns) in 65.0 s",
        "deleted y",
        "1,000 tokens in",
    ):
        assert said in text
    assert "line 20\n" not in text


def test_rendered_returns_after_all_output_is_written() -> None:
    source, sink = os.pipe()
    with rendered(sink) as fd:
        os.write(fd, "".join(f"{line}\n" for line in LINES[:3]).encode())
    os.close(sink)
    with os.fdopen(source) as file:
        assert "I will look." in file.read()


class Page(HTMLParser):
    """Collects what a page would load, and the text it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def transcript(tmp_path: Path) -> Path:
    recorder = begun(tmp_path / "t.ndjson")
    recorder.control("input", text="further input")
    for line in LINES[:6]:
        recorder.event(line)
    picture = ToolOutput(content=(Text(text="x"), Image(media_type="image/png", data="iVBORw0KGgo=")))
    recorder.tool_result("1", "bash", picture, 40)
    for line in LINES[6:]:
        recorder.event(line)
    recorder.end(status="failed", exit_code=3)
    return tmp_path / "t.ndjson"


def test_the_report_is_complete_and_self_contained(transcript: Path) -> None:
    page = Page()
    html = render(read(transcript))
    page.feed(html)
    assert [load for load in page.loads if not load.startswith("data:image/png;base64,")] == []
    assert "script" not in page.tags and "link" not in page.tags
    assert re.search(r"@import|url\(", html) is None
    for said in (
        "do it",
        "further input",
        "line 39",
        "+new",
        "overloaded",
        "limit_near",
        "max_turns",
        "1,000 in",
        "exit 1",
    ):
        assert said in page.text, said
    assert "<script>alert(1)</script>" in page.text  # shown, not run
    assert '<span class="del"><i>7</i><i></i>--- old</span>' in html
    assert '<span class="same"><i>8</i><i>8</i> same</span>' in html
    assert "/work/x.py  +1 −1\n" in page.text and "/state/1.patch" in page.text
    assert "prefers-color-scheme: dark" in html


def test_a_recording_of_a_killed_run_has_a_report(transcript: Path) -> None:
    lines = transcript.read_bytes().splitlines(keepends=True)
    for count in range(2, len(lines)):
        transcript.write_bytes(b"".join(lines[:count]))
        assert "the process was killed" in render(read(transcript))


def test_the_report_command_handles_complete_and_truncated_transcripts(
    transcript: Path, tmp_path: Path
) -> None:
    def report(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "report", str(source), "-o", str(target)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert report(transcript, tmp_path / "r.html").returncode == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    transcript.write_bytes(transcript.read_bytes()[:-5])
    cut = report(transcript, tmp_path / "r.html")
    assert cut.returncode == 2
    assert cut.stderr.startswith(f"agent-runtime: {transcript}, line ")
    assert "truncated in the middle" in cut.stderr
    assert report(tmp_path / "r.html", tmp_path / "x.html").returncode == 2
    missing = report(transcript, tmp_path / "no" / "r.html")
    assert missing.returncode == 2 and "Traceback" not in missing.stderr


def test_the_report_shows_the_request_and_the_prompt(tmp_path: Path) -> None:
    image = {"type": "image", "mediaType": "image/png", "data": "iVBORw0KGgo="}
    recorder = Recorder(tmp_path / "t")
    recorder.begin(runtime_version="0", run_id="r", workspace=Path("/work"))
    earlier = {"role": "user", "blocks": [{"type": "text", "text": "what came before"}]}
    messages = [
        {"role": "user", "content": "first words"},
        {"role": "assistant", "content": [{"type": "text", "text": "an answer"}]},
        {"role": "user", "content": [{"type": "text", "text": "look at this"}, image]},
    ]
    recorder.request({"messages": messages}, {"past": {"messages": [earlier]}})
    tool = {"name": "bash", "description": "Runs a command.", "parameters": {"type": "object"}}
    recorder.prompt({"system": "PURPLE RULE", "tools": (tool,), "messages": ()})
    recorder.close()
    page = Page()
    page.feed(render(read(tmp_path / "t")))
    for text in ("first words", "an answer", "look at this", "PURPLE RULE", "Runs a command."):
        assert text in page.text
    assert "data:image/png;base64,iVBORw0KGgo=" in page.loads

    recorder = Recorder(tmp_path / "thread")
    recorder.begin(runtime_version="0", run_id="r", workspace=Path("/work"))
    recorder.request({"prompt": "go on"}, {"past": {"messages": [earlier]}})
    recorder.close()
    page.feed(render(read(tmp_path / "thread")))
    assert "what came before" in page.text and "go on" in page.text


def test_the_last_answer_is_a_step(transcript: Path) -> None:
    assert "all **good**" in steps(read(transcript))[-1].text


def test_a_truncated_output_shows_its_full_size_and_file() -> None:
    output = (
        "a\n" * 100
        + "[... 9000 bytes (199889 lines) cut here; the whole output is in /s/x.log ...]\n"
        + "b\n" * 11
    )
    file = io.StringIO()
    Pretty(file, width=100).write({"type": "tool_result", "output": output, "outputFile": "/s/x.log"})
    assert f"… {100 + 199889 + 11 - 11:,} more lines …" in file.getvalue()
    assert "the whole output: /s/x.log" in file.getvalue()


def test_errors_and_lists_of_files_are_wrapped() -> None:
    file = io.StringIO()
    pretty = Pretty(file, width=60)
    pretty.write({"type": "error", "code": "overloaded", "message": "word " * 30, "retryInMs": 7000})
    files = [f"/work/folder/file{number}.txt" for number in range(12)]
    pretty.write({"type": "complete", "status": "completed", "files": files, "output": ""})
    text = file.getvalue()
    assert "(again in 7.0 s)" in " ".join(text.split())
    assert all(f"file{number}.txt" in text for number in range(12))
    lists = [line for line in text.splitlines() if "file" in line]
    assert all(line.startswith((" " * 10, "  files   ")) for line in lists)


def test_a_long_command_is_shown_whole() -> None:
    file = io.StringIO()
    command = "echo " + " ".join(f"word{number}" for number in range(40))
    Pretty(file, width=80).write(
        {"type": "tool_call", "id": "1", "tool": "bash", "input": {"command": command}}
    )
    assert "word39" in file.getvalue()


def test_a_reader_that_goes_away_ends_the_run_quietly(tmp_path: Path) -> None:
    command = f"{' '.join(COMMAND)} demo --format pretty | head -3"
    script = f"set -o pipefail; {command}; echo status ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "status 74"
