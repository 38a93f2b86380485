"""The report: self-contained, whatever the texts of the run contain, and the same view as that of the server."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.importers.recorded import read_recorded
from agent_runtime.page.assets import source_hash
from agent_runtime.page.report import in_script, render
from agent_runtime.page.run_data import run_data
from agent_runtime.protocol.messages import clean_text
from agent_runtime.testing.runtime import COMMAND
from agent_runtime.transcripts.reader import read
from agent_runtime.transcripts.writer import Recorder
from tests.cli.example_run import EVIL, LINES, recorded
from tests.page.browser import Browser
from tests.transcripts.recordings import event, start


class Parsed(HTMLParser):
    """What a page contains: elements, what they would load, scripts by type, style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.scripts: dict[str, str] = {}
        self.policy = ""
        self.text = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag in ("script", "style"):
            self._open = given.get("type") or tag
            self.scripts[self._open] = ""
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._open = "" if tag in ("script", "style") else self._open

    def handle_data(self, data: str) -> None:
        if self._open:
            self.scripts[self._open] += data
        else:
            self.text += data


HOSTILE = [
    EVIL,
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "\u2028\u2029\\u003c",
    '"><img src=x onerror=alert(1)>',
    "\x00\ud800",
    "&lt;/script&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_never_markup(tmp_path: Path, text: str) -> None:
    recorder = Recorder(tmp_path / "t")
    recorder.begin(
        runtime_version="0", run_id=f"r{text.encode('ascii', 'ignore').decode()}", workspace=Path("/work")
    )
    recorder.request({"prompt": text}, {})
    recorder.prompt({"system": text, "tools": ({"name": text},), "messages": ()})
    recorder.end(status="completed", exit_code=0)
    page = Parsed(render(read(tmp_path / "t")))
    assert page.tags.count("script") == 2 and page.loads == []
    assert {"img", "iframe", "link"} & set(page.tags) == set()
    assert json.loads(page.scripts["application/json"])["prompts"][0]["system"] == clean_text(text)
    assert "<" not in in_script({text: [text]})


def test_the_page_is_self_contained_and_its_policy_allows_no_more(tmp_path: Path) -> None:
    html = render(read(recorded(tmp_path / "t")))
    page = Parsed(html)
    assert page.loads == [] and "link" not in page.tags
    assert (
        source_hash(page.scripts["module"]) in page.policy
        and source_hash(page.scripts["style"]) in page.policy
    )
    assert "unsafe" not in page.policy and "default-src 'none'" in page.policy
    assert re.search(r"@import|url\(", page.scripts["style"]) is None
    assert re.search(r"^\s*import\b|\bimport\(", page.scripts["module"], re.MULTILINE) is None


def test_the_steps_can_be_read_without_a_script(tmp_path: Path) -> None:
    page = Parsed(render(read(recorded(tmp_path / "t"))))
    for expected in (
        "do it",
        "I will look.",
        "make",
        "line 39",
        "+new",
        "overloaded: busy",
        "failed (max_turns)",
    ):
        assert expected in page.text, expected
    assert "all **good**" in page.text and EVIL.split("\x1b")[0] in page.text


def test_a_recording_of_a_killed_run_has_a_report(tmp_path: Path) -> None:
    transcript = recorded(tmp_path / "t")
    lines = transcript.read_bytes().splitlines(keepends=True)
    for count in range(2, len(lines)):
        transcript.write_bytes(b"".join(lines[:count]))
        assert json.loads(Parsed(render(read(transcript))).scripts["application/json"])["ended"] is False


def test_the_report_command_handles_complete_and_truncated_transcripts(tmp_path: Path) -> None:
    transcript = recorded(tmp_path / "t.ndjson")

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


def requested(
    path: Path, request: dict[str, Any], history: list[dict[str, Any]], field: str = "history"
) -> list[tuple[str, str, bool]]:
    recorder = Recorder(path)
    recorder.begin(runtime_version="0", run_id="r", workspace=Path("/work"))
    recorder.request(request, {field: {"messages": history}})
    recorder.close()
    return [(each["role"], each["text"], each["earlier"]) for each in run_data(read(path))["messages"]]


def test_the_messages_are_those_of_the_thread_and_of_the_request(tmp_path: Path) -> None:
    earlier = {"role": "user", "blocks": [{"type": "text", "text": "what came before"}]}
    messages = [
        {"role": "user", "content": "first words"},
        {"role": "assistant", "content": [{"type": "text", "text": "an answer"}]},
    ]
    assert requested(tmp_path / "1", {"messages": messages, "prompt": "and now"}, [earlier]) == [
        ("user", "first words", False),
        ("assistant", "an answer", False),
        ("user", "and now", False),
    ]
    for field in ("history", "past"):  # the latter in older transcripts
        assert requested(tmp_path / field, {"message": "go on"}, [earlier], field) == [
            ("user", "what came before", True),
            ("user", "go on", False),
        ]


def test_a_file_of_events_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text("\n".join(LINES) + "\n")
    data = run_data(read_recorded(path))
    assert (data["runId"], data["ended"], len(data["events"])) == ("run_1", True, len(LINES))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_report_opens_from_disk(browser: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    (tmp_path / "r.html").write_text(render(read(recorded(tmp_path / "t"))))
    page = browser.open((tmp_path / "r.html").as_uri(), width=width, dark=dark)
    page.until("document.querySelectorAll('.step').length > 8")
    page.until_text(
        "body", "failed", "max_turns", "The limit on model calls was reached.", "do it", "further input"
    )
    page.until_text("body", "overloaded", "limit_near", "1,000 in", "exit 1", "make")
    assert page.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(17, 20, 24)" if dark else "rgb(255, 255, 255)"
    )
    assert not page.scrolls_sideways()
    assert page.problems == []
    page.until("document.querySelectorAll('main img').length === 1")
    page.run("document.querySelector('.timeline').focus()")
    for key in ("ArrowRight", "Enter"):
        page.key(key)
    page.until("document.querySelectorAll('.span.chosen, .step.current').length === 2")
    page.key("n")
    page.until("document.querySelector('.current').classList.contains('failed')")
    page.type(".toolbar input", "line 20")
    page.until("document.querySelectorAll('.step:not([hidden])').length === 1")
    page.until_text(".step:not([hidden]) .output", "line 20\n")
    assert [
        url for url in page.requests[1:] if not url.startswith("data:")
    ] == []  # nothing was loaded but the file


def test_long_runs_and_long_outputs_are_folded(browser: Browser, tmp_path: Path) -> None:
    """What is laid out is bounded, and the whole of an output can be displayed."""
    diff = "--- a/x.py\n+++ b/x.py\n@@ -0,0 +1,300 @@\n" + "+    return 1\n" * 300
    edit = {"path": "/work/x.py", "action": "modify", "diff": diff, "additions": 300, "deletions": 0}
    done = {"isError": False, "outcome": "completed", "durationMs": 1, "exitCode": 0}
    lines = [start()]
    for turn in range(1, 668):
        call = {"id": f"c{turn}", "tool": "bash", "turn": turn}
        output = "a line of output\n" * (300_000 if turn == 300 else 20)
        lines.append(event("tool_call", len(lines), input={"command": "make"}, **call))
        lines.append(event("file_edit", len(lines), source="shell", toolCallId=call["id"], **edit))
        lines.append(event("tool_result", len(lines), output=output, **done, **call))
    lines.append(event("thinking", len(lines), content="a long text\n" * 50_000, kind="text", turn=668))
    (tmp_path / "events").write_text("\n".join(lines))
    (tmp_path / "r.html").write_text(render(read_recorded(tmp_path / "events")))
    page = browser.open((tmp_path / "r.html").as_uri())
    page.until("document.querySelectorAll('.step').length === 1335")
    assert page.run("document.querySelector('.step.text').textContent.length") < 10_000
    assert page.run("document.querySelectorAll('*').length") < 60_000
    page.click("button.more", "Show 299,970 lines more (5.1 MB in all)")
    page.until("document.querySelector('.whole')?.textContent.length > 5_000_000")
    page.type(".toolbar input", "nowhere")
    page.until("document.querySelectorAll('.step:not([hidden])').length === 0")
    assert page.problems == []


def test_hostile_texts_in_any_field_are_displayed_as_text(browser: Browser, tmp_path: Path) -> None:
    evil = "<img src=x onerror=window.hit=1></pre><script>window.hit=1</script>\u202e"
    address = "javascript:window.hit=1"
    result = {"isError": True, "outcome": evil, "durationMs": 1, "exitCode": 1, "outputFile": evil}
    edit = {"path": f"/work/{evil}", "oldPath": evil, "action": evil, "additions": 1, "deletions": 1}
    diff = f"--- a/x\n+++ b/x\n@@ -1 +1 @@ {evil}\n-{evil}\n+{evil}2\n"
    lines = [
        start(),
        event("thinking", 1, content=evil, kind="reasoning", turn=1),
        event("tool_call", 2, id=evil, tool=evil, input={"command": evil, evil: evil}, turn=1),
        event("file_edit", 3, diff=diff, source="shell", truncated=True, diffFile=evil, **edit),
        event("tool_result", 4, id=evil, tool=evil, output=evil, turn=1, **result),
        event("dev_url", 5, url=address, localUrl="", port=1, status="up", loopbackOnly=True, command=evil),
        event("question", 6, id=evil, text=evil, options=[evil], turn=1),
        event("plan", 7, items=[{"step": evil, "status": evil}], turn=1),
        event("error", 8, code=evil, message=evil, retryable=True),
        event("notice", 9, code=evil, message=evil),
        event("usage", 10, turn=1, inputTokens=evil, outputTokens=None, contextWindow=evil),
        event(
            "complete", 11, status=evil, stopReason=evil, output=evil, error={"code": evil, "message": evil}
        ),
    ]
    (tmp_path / "events").write_text("\n".join(lines))
    with (tmp_path / "events").open() as file:
        events = [json.loads(line) for line in file]
    data = run_data(read(recorded(tmp_path / "t"))) | {"events": events, "images": {evil: [address, evil]}}
    page_text = render(read(tmp_path / "t"))
    present = Parsed(page_text).scripts["application/json"]
    (tmp_path / "r.html").write_text(page_text.replace(present, in_script(data)))
    page = browser.open((tmp_path / "r.html").as_uri())
    page.until("document.querySelectorAll('.step').length >= 9")
    assert page.run("window.hit") is None
    assert (
        page.run("document.querySelectorAll('main img, main script, main a[href^=javascript]').length") == 0
    )
    assert evil in page.run("document.querySelector('.step.call').textContent")
    assert page.problems == []
