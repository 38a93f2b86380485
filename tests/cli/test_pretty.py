"""The pretty form of the event stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.cli.pretty import Pretty
from agent_runtime.cli.terminal import rendered
from agent_runtime.testing.runtime import COMMAND
from tests.cli.example_run import LINES


def pretty_text(width: int = 80) -> str:
    file = io.StringIO()
    pretty = Pretty(file, width=width)
    for line in LINES:
        pretty.write(json.loads(line))
    pretty.write({"type": "unknown"})
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_pretty_output_fits_the_width_and_has_no_colors_without_a_terminal(width: int) -> None:
    text = pretty_text(width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\x1b" not in text and "\x07" not in text


def test_pretty_output_shows_calls_outputs_and_the_answer() -> None:
    text = pretty_text(120)
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
