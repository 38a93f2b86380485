"""Runs keep their transcripts: they are listed, printed, replayed and reported by their ids."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import COMMAND, environment, run
from tests.support.commands import command


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of two runs, the ids of which are run-one and run-two."""
    workspace = tmp_path_factory.mktemp("runs") / "w"
    workspace.mkdir()
    for run_id in ("run-one", "run-two"):
        script = [
            Turn(calls=[("bash", {"command": f"echo {run_id} > out"})]),
            Turn(text=f"answer of {run_id}"),
        ]
        with ModelServer(script) as server:
            done = run(
                {"prompt": f"prompt of {run_id}", "runId": run_id}, workspace, server.environ("anthropic")
            )
            assert done.code == 0
    return workspace.with_name("w.state")


@pytest.fixture
def state(kept: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return shutil.copytree(kept, tmp_path / "state")


def replay(name: str, *options: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "replay", name, "--tools", "recorded", *options],
        capture_output=True,
        text=True,
        env=environment({}, state),
        cwd=state.parent,
        check=False,
    )


def test_runs_are_listed_the_latest_first(state: Path) -> None:
    listed = json.loads(command("runs", "--json", state=state).stdout)
    assert [row["runId"] for row in listed] == ["run-two", "run-one"]
    assert listed[0]["status"] == "completed"
    assert (listed[0]["prompt"], listed[0]["iterations"]) == ("prompt of run-two", 2)
    assert listed[0]["tokens"] > 0 and listed[0]["size"] > 0 and listed[0]["model"] == "claude-sonnet-4-5"
    assert len(json.loads(command("runs", "--json", "--limit", "1", state=state).stdout)) == 1
    text = command("runs", state=state).stdout
    assert "prompt of run-one" in text and "completed" in text


@pytest.mark.parametrize(
    ("name", "expected"), [("last", "run-two"), ("run-one", "run-one"), ("run-t", "run-two")]
)
def test_show_takes_an_id_a_prefix_or_last(name: str, expected: str, state: Path) -> None:
    done = command("show", name, state=state)
    assert done.returncode == 0
    assert f"answer of {expected}" in done.stdout and "▶ bash" in done.stdout


def test_report_and_replay_take_ids(state: Path, tmp_path: Path) -> None:
    assert command("report", "last", "-o", str(tmp_path / "r.html"), state=state).returncode == 0
    assert "answer of run-two" in (tmp_path / "r.html").read_text()
    again = replay("run-one", "--verify", state=state)
    assert again.returncode == 0, again.stderr


def test_a_file_of_events_is_shown_and_reported(state: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.write_text(replay("last", state=state).stdout)
    assert "answer of run-two" in command("show", str(events), state=state).stdout
    assert command("report", str(events), "-o", str(tmp_path / "r.html"), state=state).returncode == 0
    assert "answer of run-two" in (tmp_path / "r.html").read_text()


def test_a_missing_run_is_reported(state: Path) -> None:
    done = command("show", "nope", state=state)
    assert done.returncode == 2 and "agent-runtime runs" in done.stderr
    done = command("show", "run-", state=state)
    assert done.returncode == 2 and "found 2: run-two, run-one" in done.stderr
    empty = command("show", "last", "--state-dir", str(state / "none"), state=state)
    assert empty.returncode == 2 and "--no-record" in empty.stderr


def test_no_record_keeps_nothing(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    with ModelServer([Turn(text="done")]) as server:
        run({"prompt": "x"}, workspace, server.environ("anthropic"), ("--no-record",))
    assert list((tmp_path / "w.state").rglob("*.ndjson")) == []


def test_a_dry_run_calls_no_model_and_shows_the_prompt(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "AGENTS.md").write_text("PURPLE RULE")
    with ModelServer([]) as server:
        done = subprocess.run(
            [
                *COMMAND,
                "run",
                "--dry-run",
                "--prompt",
                "x",
                "--workspace",
                str(workspace),
                "--max-turns",
                "7",
            ],
            capture_output=True,
            env=environment(
                server.environ("anthropic")
                | {
                    "AGENT_RUNTIME_DEPLOYMENTS": "prod=claude-sonnet-4-6",
                    "AGENT_RUNTIME_MODEL": "anthropic:prod",
                },
                tmp_path / "state",
            ),
            stdin=subprocess.DEVNULL,
            check=True,
        )
        assert server.requests == []
    plan = json.loads(done.stdout)
    assert "PURPLE RULE" in plan["systemPrompt"]
    assert plan["limits"]["maxTurns"] == 7
    [model] = plan["models"]
    assert model["keySet"] is True
    assert (model["name"], model["baseModel"], model["toolFamily"]) == ("prod", "claude-sonnet-4-6", "claude")
    assert {tool["name"] for tool in plan["tools"]} >= {"bash", "str_replace_based_edit_tool"}
    assert b"sk-ant" not in done.stdout


def test_models_tools_and_agents_are_listed(tmp_path: Path) -> None:
    models = json.loads(command("models", "--json", state=tmp_path).stdout)
    assert {provider["name"] for provider in models["providers"]} >= {
        "anthropic",
        "openai",
        "google",
        "ollama",
    }
    assert all(model["contextWindow"] > 0 for model in models["models"])
    tools = json.loads(command("tools", "--json", state=tmp_path).stdout)
    assert {tool["name"] for tool in tools} >= {"bash", "apply_patch", "grep"}
    (tmp_path / ".agent-runtime" / "agents").mkdir(parents=True)
    (tmp_path / ".agent-runtime" / "agents" / "mine.md").write_text("---\nname: Mine\n---\nYou help.\n")
    (tmp_path / ".agent-runtime" / "agents" / "bad.md").write_text("---\nmaxTurns: many\n---\nx\n")
    agents = json.loads(command("agents", "--json", "--workspace", str(tmp_path), state=tmp_path).stdout)
    by_slug = {agent["slug"]: agent for agent in agents}
    assert by_slug["mine"]["name"] == "Mine" and "maxTurns" in by_slug["bad"]["error"]
    assert "code-assistant" in by_slug
    for name in ("models", "tools", "agents"):
        assert command(name, state=tmp_path).returncode == 0
