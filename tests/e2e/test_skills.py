"""Skills through the real program: in the system prompt of every format, chosen, switched off, broken, replayed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.plugin import Replay
from agent_runtime.testing.runtime import Json, Result, run


def skill(folder: Path, name: str, description: str) -> Path:
    (folder / name).mkdir(parents=True)
    file = folder / name / "SKILL.md"
    file.write_text(f"---\nname: {name}\ndescription: {description}\n---\nThe body stays in the file.\n")
    return file


@pytest.fixture
def skills(workspace: Path, tmp_path: Path) -> dict[str, Path]:
    return {
        "one": skill(workspace / ".agents" / "skills", "one", "Does {{ one }}."),
        "two": skill(workspace / ".claude" / "skills", "two", "Does two."),
        "home": skill(tmp_path / "home" / ".agents" / "skills", "home", "At home."),
        "more": skill(tmp_path / "more", "more", "More."),
    }


def ask(
    workspace: Path, tmp_path: Path, format: WireFormat = "anthropic", **fields: object
) -> tuple[Json, Result]:
    with ModelServer([Turn(text="done")]) as server:
        environ = server.environ(format) | {"HOME": str(tmp_path / "home")}
        done = run({"prompt": "x", **fields}, workspace, environ)
        assert server.violations == [] and done.code == 0, done.complete
    return server.bodies[0], done


def named(body: Json, skills: dict[str, Path]) -> set[str]:
    sent = json.dumps(body)
    return {name for name, path in skills.items() if f"- {name}: " in sent and str(path) in sent}


@pytest.mark.parametrize("format", get_args(WireFormat))
def test_the_system_prompt_names_every_skill(
    format: WireFormat, workspace: Path, tmp_path: Path, skills: dict[str, Path]
) -> None:
    body, done = ask(workspace, tmp_path, format, skillsDir=str(tmp_path / "more"))
    assert named(body, skills) == {"one", "two", "home", "more"}
    assert "Does {{ one }}." in json.dumps(body) and "The body stays" not in json.dumps(body)
    assert done.of("notice") == []


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"skills": False}, set()),
        ({"skills": True}, {"one", "two", "home"}),
        ({"skills": ["two"]}, {"two"}),
        ({"systemPrompt": "Be brief."}, {"one", "two", "home"}),
        ({"systemPrompt": "Be brief.", "tools": []}, set()),
        ({"tools": ["web_search", "update_plan"]}, set()),  # no tool that can read them
    ],
)
def test_skills_can_be_chosen(
    fields: Json, expected: set[str], workspace: Path, tmp_path: Path, skills: dict[str, Path]
) -> None:
    body, _ = ask(workspace, tmp_path, **fields)
    assert named(body, skills) == expected


@pytest.mark.parametrize("chosen, ignored", [(True, ["one"]), (["two", "none"], ["none"]), (["two"], [])])
def test_ignored_skills_are_reported_by_a_notice(
    workspace: Path,
    tmp_path: Path,
    skills: dict[str, Path],
    replay: Replay,
    chosen: bool | list[str],
    ignored: list[str],
) -> None:
    skills["one"].write_text("no front matter")
    transcript = tmp_path / "t.ndjson"
    _, done = ask(workspace, tmp_path, skills=chosen, record=str(transcript))
    paths = [str(skills[name]) if name in skills else name for name in ignored]
    assert [(each["code"], each["details"]["path"]) for each in done.of("notice")] == [
        ("skill_ignored", path) for path in paths
    ]
    replay(transcript)
    replay(transcript, workspace)
