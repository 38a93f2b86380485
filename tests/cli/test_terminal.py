"""The progress below the text of a run on a terminal, as a virtual terminal displays it."""

from __future__ import annotations

import io
import json
import os
import pty
import random
import re
import subprocess
import termios
from pathlib import Path

import pytest

from agent_runtime.cli.pretty import Pretty
from agent_runtime.cli.progress import Progress
from agent_runtime.cli.terminal import Display, LiveRegion
from agent_runtime.shell.screen import render
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment
from tests.cli.example_run import LINES
from tests.transcripts.recordings import event, start

PIECES = [
    event("thinking_delta", 1, delta="I think ", turn=1),
    event("text_delta", 1, delta="one\ntwo " * 30, turn=1),
    event("tool_input_delta", 1, id="1", delta='{"command": "x"}', turn=1),
    event("tool_output_delta", 1, id="1", delta="\x1b[2Joutput\n" * 20, turn=1),
    event("heartbeat", 1, awaiting="model", since=""),
    event("error", 1, code="overloaded", message="busy", retryable=True, retryInMs=10),
]


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_progress_leaves_nothing_behind(columns: int) -> None:
    """After the end the terminal has the text of the events, whatever was displayed in between, and when."""
    rng = random.Random(columns)
    size = os.terminal_size((columns, 24))
    for _ in range(30):
        events = [*LINES]
        for piece in rng.choices(PIECES, k=12):
            events.insert(rng.randrange(1, len(events) - 1), piece)
        display, written, rest = Display(live=True, color=False), "", [line.encode() for line in events]
        while rest:
            count = rng.choice([0, 1, 1, 2, 5])
            written += display.take(rest[:count], size)
            rest = rest[count:]
        plain = io.StringIO()
        pretty = Pretty(plain, width=columns)
        for line in events:
            pretty.write(json.loads(line))
        displayed = render(
            written.replace("\n", "\r\n").replace("\r\r", "\r").encode(), rows=24, columns=columns
        )
        assert lines(displayed) == lines(plain.getvalue())


def test_the_awaited_phase_is_displayed() -> None:
    now = 0.0
    progress = Progress(clock=lambda: now)
    assert progress.lines(80) == []
    steps = [
        (start(), "waiting for the model 1 s · turn 0 · 0 tokens"),
        (event("text_delta", 1, delta="hello\nworld", turn=1), "the model writes 1 s"),
        (event("tool_call", 2, id="a", tool="bash", input={"command": "make"}, turn=1), "bash make"),
        (event("tool_call", 3, id="b", tool="bash", input={"command": "sleep 9"}, turn=1), "bash sleep 9"),
        (event("tool_result", 4, id="b", output=""), "bash make"),
        (event("usage", 5, turn=1, totalTokens=1200, costUsd=0.5), "turn 1 · 1,200 tokens · $0.5000"),
        (event("tool_result", 6, id="a", output=""), "waiting for the model"),
        (event("question", 7, id="q", text="?"), "waiting for your answer"),
        (event("error", 8, code="overloaded", message="", retryInMs=5), "waiting to try again"),
    ]
    for line, expected in steps:
        progress.take(json.loads(line))
        now += 1
        assert expected in progress.lines(120)[-1]
    now = 75.0
    assert progress.lines(120)[-1].endswith("1:15 min in all")
    progress.take(json.loads(LINES[-1]))
    assert progress.lines(80) == []


@pytest.mark.parametrize("width", [1, 5, 20, 80])
@pytest.mark.parametrize("height", [1, 5, 24])
def test_the_progress_fits_the_terminal(width: int, height: int) -> None:
    progress = Progress()
    progress.take(json.loads(start()))
    progress.take({"type": "text_delta", "delta": "宽字符 and é\t" * 500 + "\n" * 3 + "x\n" * 50})
    found = progress.lines(width, height)
    assert len(found) <= max(2, height // 2)
    assert all(len(line) <= width for line in found)
    assert not any(re.search(r"[\x00-\x1f]", line) for line in found)


def test_input_typed_below_the_progress_is_kept() -> None:
    region = LiveRegion()
    written = region.drawn(["a 1"], 80) + "typed" + region.drawn(["a 2"], 80) + region.drawn(["a 3"], 80)
    assert lines(render(written.encode(), rows=24, columns=80)) == ["a 3", "typed"]


def test_lines_that_a_narrower_terminal_has_wrapped_are_erased() -> None:
    region = LiveRegion()
    region.drawn(["x" * 30, "y" * 10], 40)
    assert region.erased(10) == "\r\x1b[4A\x1b[J"


PROGRESS = re.compile(rb"\xc2\xb7 bash until [^\n]* \d+ s \xc2\xb7 turn 1")


@pytest.mark.parametrize("no_color", [False, True])
def test_a_run_on_a_terminal(tmp_path: Path, no_color: bool) -> None:
    command = {"command": "until [ -e go ]; do sleep 0.1; done; echo out"}
    model = ModelServer([Turn(text="I look.", calls=[("bash", command)]), Turn(text="all done")])
    extra = {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if no_color else {})
    with model:
        control, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, 80))
        with subprocess.Popen(
            [*COMMAND, "run", "--prompt", "go", "--workspace", str(tmp_path)],
            env=environment(model.environ("anthropic") | extra, tmp_path / "state"),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.PIPE,
        ) as run:
            os.close(terminal)
            written = b""
            while True:
                try:
                    written += os.read(control, 1 << 16)
                except OSError:  # the other side is closed
                    break
                if PROGRESS.search(written):
                    (tmp_path / "go").touch()
            assert run.wait() == 0 and run.stderr and run.stderr.read() == b""
        os.close(control)
    text = render(written, rows=24, columns=80)
    assert all(
        expected in text for expected in ("▶ bash  until [ -e go ]", "│ out", "completed in", "all done")
    )
    assert " in all" not in text
    assert (re.search(rb"\x1b\[[0-9;]*3[0-7]m", written) is None) == no_color
