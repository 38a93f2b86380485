"""What the command line refuses before a command runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import agent_runtime
from agent_runtime.cli.main import main
from agent_runtime.cli.options import OPTIONS, named_by_option
from agent_runtime.errors import RequestError
from agent_runtime.testing.runtime import COMMAND, environment


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["runs", "--limit", "0"], "expected a number above 0, got '0'"),
        (["runs", "--limit", "-1"], "expected a number above 0, got '-1'"),
        (["serve", "--port", "70000"], "expected a port from 0 to 65535, got '70000'"),
        (["serve", "--port", "http"], "expected a port from 0 to 65535, got 'http'"),
    ],
)
def test_a_number_out_of_range_is_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert expected in capsys.readouterr().err


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "doctor" in capsys.readouterr().err


def test_every_option_with_a_value_names_it() -> None:
    assert all(bool(metavar) == (kind != "flag") for _, kind, metavar, _ in OPTIONS.values())


@pytest.mark.parametrize(
    ("field", "option"), [("tools[0]", "--tools[0]"), ("config.maxTurns", "--max-turns"), ("model", "model")]
)
def test_an_error_names_the_option_that_gave_the_field(field: str, option: str) -> None:
    error = named_by_option(RequestError(field, "expected"), {"tools": ["basch"], "maxTurns": 0})
    assert str(error) == f"{option}: expected"
    assert error.field == field


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["runn"], "run"),
        (["Replay", "x"], "replay"),
        (["dctor"], "doctor"),
        (["thread", "list"], "threads"),
        (["threads", "lst"], "list"),
        (["schema", "requests"], "request"),
        (["replay", "x", "--tools", "exec"], "execute"),
        (["run", "--modle", "x"], "--model"),
        (["serve", "--prot", "1"], "--port"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert capsys.readouterr().err.strip().endswith(f"did you mean {meant}?")


def test_a_word_like_no_other_gets_the_list_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["xyzzy"])
    printed = capsys.readouterr().err
    assert "expected one of run, replay" in printed
    assert "did you mean" not in printed


@pytest.mark.parametrize(
    "words",
    [
        ["schema"],
        ["tools"],
        ["models"],
        ["agents"],
        ["runs"],
        ["clean", "--dry-run"],
        ["threads", "list"],
        ["export", "last", "--format", "atif"],
    ],
)
def test_a_command_that_prints_text_needs_a_stdout(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert main(words) == 74


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--request", "/no/such"], "--request: expected a file that can be read"),
        (["run", "--request", "/"], "--request: expected a file that can be read"),
        (["run", "--request", "/no/such", "--socket", "/no"], "--request: expected a file that can be read"),
        (["run", "--prompt", "x", "--socket", "/no/such"], "--socket: expected a standby"),
        (["run", "--prompt", "x", "--socket", "/etc/passwd"], "--socket: expected a standby"),
        (["replay", "{demo}", "--workspace", ".", "--speed", "0"], "--speed: expected a number above 0"),
        (["replay", "{demo}", "--workspace", ".", "--speed", "fast"], "--speed: expected a number above 0"),
        (["replay", "{demo}", "--workspace", ".", "--mask", "["], "--mask: expected a regular expression"),
        (["replay", "{demo}", "--workspace", "/no/such"], "--workspace: expected a folder that exists"),
        (["replay", "{demo}"], "--workspace: expected a folder in which"),
        (["replay", "{demo}", "--workspace", ".", "--record", "/no/such"], "--record: /no/such: "),
        (["demo", "--record", "/no/such"], "--record: /no/such: "),
        (["run", "--prompt", " "], "--prompt: expected a non-empty string"),
        (["run", "--prompt", "x", "--dev-url", "x"], "--dev-url: expected an http(s) URL"),
        (
            ["replay", "{demo}", "--workspace", ".", "--format", "x"],
            "--format: expected 'ndjson' or 'pretty'",
        ),
    ],
)
def test_an_error_names_the_option(words: list[str], message: str) -> None:
    demo = str(Path(agent_runtime.__file__).parent / "data/demo.ndjson")
    done = subprocess.run(
        [*COMMAND, *(word.replace("{demo}", demo) for word in words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"agent-runtime: {message}")
    error = json.loads(done.stdout.splitlines()[0])
    assert error["message"].startswith(message)
    assert error["details"]["expected"] in error["message"]
    assert not error["details"]["expected"].startswith("expected")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["models"], 0),
        (["runs", "--json"], 0),
        (["show", "none"], 2),
        (["export", "none", "--format", "atif"], 2),
        (["import", "codex", "none"], 2),
        (["threads", "show", "none"], 2),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else None,
)
def test_the_program_prints_the_text_or_the_error_of_a_command(
    words: list[str], status: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        env=environment({}, tmp_path / "state"),
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, bool(done.stdout), bool(done.stderr)) == (status, not status, bool(status))
    assert done.stderr.startswith("agent-runtime: ") == bool(status)
