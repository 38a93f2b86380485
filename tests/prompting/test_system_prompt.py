"""The system prompt: rendered with the run's facts, from templates that may be anyone's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.prompting.agent_definitions import DEFAULT_AGENT, Agent, agent_directories, find_agent
from agent_runtime.prompting.system_prompt import Facts, Instructions, render


def agent(template: str) -> Agent:
    return Agent("mine", "Mine", template, Path("/agents/mine.md"))


def facts(workspace: Path = Path("/w"), **more: Any) -> Facts:
    return Facts(workspace=workspace, model="m", date="2026-01-02", **more)


def test_the_default_agent_has_every_fact() -> None:
    prompt = render(
        find_agent(DEFAULT_AGENT, agent_directories(Path("/none"))),
        facts(
            tools=["bash", "get_dev_url"],
            params={"customer": "Ann & Bob"},
            context={"ticket": 5},
            mounts=[{"workspaceId": "ws-1", "path": "/data"}],
            platform="Linux 6",
            git_branch="main",
            instructions=[Instructions("AGENTS.md", "Use {{ tabs }}.")],
        ),
    )
    for fact in (
        *("Workspace: /w", "Date: 2026-01-02", "Platform: Linux 6", "Git branch: main", "bash, get_dev_url"),
        *('"customer": "Ann & Bob"', '"ticket": 5', "/data (workspace ws-1)", "Use {{ tabs }}.", "0.0.0.0"),
    ):
        assert fact in prompt
    bare = render(find_agent(DEFAULT_AGENT, agent_directories(Path("/none"))), facts())
    assert (
        "Persistent storage" not in bare and "None" not in bare and "{{" not in bare and "\n\n\n" not in bare
    )


def test_every_template_variable_is_defined() -> None:
    template = (
        "{{ agent.slug }} {{ workspace }} {{ model }} {{ date }} {{ tools }} {{ params.a }} {{ context.b }}"
    )
    assert render(agent(template), facts(tools=["x"], params={"a": 1}, context={"b": "c"})) == (
        "mine /w m 2026-01-02 ['x'] 1 c\n"
    )


def test_a_template_can_ask_whether_a_parameter_was_given() -> None:
    template = "{% if params.name %}Hello {{ params.name }}{% else %}Hello you{% endif %}, {{ context.day or 'today' }}"
    assert render(agent(template), facts()) == "Hello you, today\n"
    assert render(agent(template), facts(params={"name": "Ann"})) == "Hello Ann, today\n"


@pytest.mark.parametrize(
    ("prompt", "rendered"),
    [
        ("Hello {{ params.name }}", "Hello Ann\n"),
        ("{% if context %}c{% else %}none{% endif %}", "none\n"),
        ("Write {{ mustache }} and {% odd %}", "Write {{ mustache }} and {% odd %}\n"),
        ("Write {{ mustache }}", "Write {{ mustache }}\n"),
        ("A } lonely {{ brace", "A } lonely {{ brace\n"),
        ("lone \ud83d", "lone \ufffd\n"),
    ],
)
def test_a_requests_own_prompt_is_a_template_where_it_names_a_variable(prompt: str, rendered: str) -> None:
    assert render(agent("never"), facts(params={"name": "Ann"}), prompt) == rendered


def test_mounts_are_named_in_any_case_and_once() -> None:
    mounts = [{"workspaceId": "ws-1", "path": "/data"}]
    assert render(agent("x"), facts(mounts=mounts), "Be brief.") == (
        "Be brief.\n\n# Persistent storage\n\n"
        "Files in these directories are kept; everything else is lost when this machine ends:\n"
        "- /data (workspace ws-1)\n"
    )
    own = "{% for m in mounts %}{{ m.path }}{% endfor %}"
    assert render(agent(own), facts(mounts=mounts)) == "/data\n"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{{ params.nmae }}", "nmae"),
        ("{{ nothing }}", "nothing"),
        ("{% if %}", "line 1"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ ().__class__.__bases__[0].__subclasses__() }}", "unsafe"),
        ("{{ params.__init__.__globals__ }}", "unsafe"),
        ("{{ ''.format.__self__ }}", "__self__"),
        ("{{ 'a' * 10000000000 }}", "OverflowError"),
        ("{{ 9 ** 9 ** 9 }}", "OverflowError"),
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "characters"),
        ("{% for a in range(10000000) %}{% endfor %}", "OverflowError"),
        ("{% include '/etc/passwd' %}", "passwd"),
        ("{% include '../agents/reviewer.md' %}", "reviewer"),
        ("{% set _ = params.update({'a': 1}) %}", "unsafe"),
    ],
)
def test_a_bad_template_is_refused_by_its_agent(template: str, complaint: str) -> None:
    with pytest.raises(RequestError, match=r"mine\.md") as refused:
        render(agent(template), facts())
    assert refused.value.field == "agent"
    assert complaint in refused.value.problem


def test_a_template_error_in_a_request_names_its_field() -> None:
    with pytest.raises(RequestError) as refused:
        render(agent("x"), facts(), "Hello {{ params.name }}")
    assert refused.value.field == "systemPrompt"


def test_facts_are_gathered_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/feature/x\n")
    (tmp_path / "AGENTS.md").write_text("Run make.\n")
    (tmp_path / "CLAUDE.md").symlink_to("AGENTS.md")
    found = Facts.gather(tmp_path, model="m", date="d")
    assert (found.git_branch, found.instructions) == ("feature/x", [Instructions("AGENTS.md", "Run make.")])
    assert "Linux" in found.platform


def test_instructions_are_bounded_and_never_leave_the_workspace(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    workspace.mkdir()
    (tmp_path / "secret").write_text("secret")
    (workspace / "AGENTS.md").symlink_to(tmp_path / "secret")
    os.mkfifo(workspace / "CLAUDE.md")
    assert Facts.gather(workspace, model="m", date="d").instructions == []
    (workspace / "AGENTS.md").unlink()
    (workspace / "AGENTS.md").write_bytes(b"\xff" + b"x" * 100_000)
    [cut] = Facts.gather(workspace, model="m", date="d").instructions
    assert len(cut.text) < 33_000 and cut.text.startswith("\ufffdx") and "cut here" in cut.text
