"""Agent definitions: found in order, checked field by field, read safely, and cheap."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.prompting.agent_definitions import (
    DEFAULT_AGENT,
    WORKSPACE_AGENTS,
    Agent,
    agent_directories,
    find_agent,
    known_agents,
)
from agent_runtime.system.safe_open import read_bounded

FULL = """---
name: "My agent: it's good"
description: reads, writes # and so on
model: [claude-sonnet-4-5, openai:gpt-5]
tools:
  - bash
  - view_image
maxTurns: 7
maxTokens: 1000
temperature: 0.5
color: blue
---

You are {{ agent.name }}.
"""


def write(directory: Path, name: str, text: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.md"
    path.write_text(text)
    return path


def refusal(slug: str, directories: list[Path]) -> str:
    with pytest.raises(RequestError) as refused:
        find_agent(slug, directories)
    assert refused.value.field == "agent"
    return refused.value.problem


def test_every_field_of_a_definition_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", FULL)
    assert find_agent("mine", [tmp_path]) == Agent(
        slug="mine",
        name="My agent: it's good",
        template="You are {{ agent.name }}.\n",
        path=path,
        description="reads, writes",
        model=("claude-sonnet-4-5", "openai:gpt-5"),
        tools=("bash", "view_image"),
        max_turns=7,
        max_tokens=1000,
        temperature=0.5,
    )


def test_other_spellings_are_read_and_unknown_fields_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "mine", "---\nmax_turns: 7\nmaxturn: 8\n---\nBe good.")
    assert find_agent("mine", [tmp_path]).max_turns == 7
    assert capsys.readouterr().err == f"warning: {path}: unknown fields are ignored: maxturn\n"


def test_a_prompt_without_front_matter_is_a_definition(tmp_path: Path) -> None:
    path = write(tmp_path, "bare", "\ufeffBe good.\r\n---\r\nAlways.")
    assert find_agent("bare", [tmp_path]) == Agent("bare", "bare", "Be good.\n---\nAlways.\n", path)


def test_the_built_in_agents_are_valid(tmp_path: Path) -> None:
    builtin = agent_directories(tmp_path)[-1]
    assert DEFAULT_AGENT in known_agents([builtin])
    for slug in known_agents([builtin]):
        assert find_agent(slug, [builtin]).slug == slug


def test_agents_are_found_in_the_order_caller_workspace_built_in(tmp_path: Path) -> None:
    own, workspace = tmp_path / "own", tmp_path / "workspace"
    directories = agent_directories(workspace, own)
    assert find_agent(DEFAULT_AGENT, directories).path.parent == directories[-1]
    write(workspace / WORKSPACE_AGENTS, DEFAULT_AGENT, "from the workspace")
    assert find_agent(DEFAULT_AGENT, directories).template == "from the workspace\n"
    write(own, DEFAULT_AGENT, "from the caller")
    assert find_agent(DEFAULT_AGENT, directories).template == "from the caller\n"


def test_an_unknown_agent_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "one", "a")
    write(tmp_path, "two", "b")
    assert (
        refusal("three", [tmp_path, tmp_path / "missing"])
        == "unknown agent 'three'; expected one of: one, two"
    )


@pytest.mark.parametrize("slug", ["", "../one", "a/b", ".hidden", "a b", "a\0", "x" * 65, "one.md", "-a"])
def test_a_slug_cannot_be_a_path(slug: str, tmp_path: Path) -> None:
    write(tmp_path / "sub", "one", "a")
    assert "a slug" in refusal(slug, [tmp_path / "sub"])


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ("maxTurns: many", "`maxTurns`"),
        ("maxTurns: 0", "`maxTurns`"),
        ("maxTurns: true", "`maxTurns`"),
        ("maxTokens: 1.5", "`maxTokens`"),
        ("temperature: 3", "`temperature`"),
        ("temperature: hot", "`temperature`"),
        ("tools: [1, 2]", "`tools`"),
        ("tools: {a: b}", "line 2"),
        ("tools:\n  a: b", "`tools`"),
        ("model: 5", "`model`"),
        ("name: [a]", "`name`"),
        ("- a\n- b", "`name: value` lines"),
        ("name: 'open", "line 2"),
        ("a: 1\nb: [x", "line 3"),
    ],
)
def test_bad_front_matter_names_the_file_and_the_field(head: str, complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad", f"---\n{head}\n---\nBe good.\n")
    message = refusal("bad", [tmp_path])
    assert str(path) in message and complaint in message


@pytest.mark.parametrize("text", ["---\nname: a\nBe good.\n", "", "---\nname: a\n---\n \n"])
def test_an_open_front_matter_or_an_empty_prompt_is_refused(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad", text)
    assert str(path) in refusal("bad", [tmp_path])


def test_a_definition_that_is_not_a_text_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "dangling.md").symlink_to("nowhere")
    (tmp_path / "latin.md").write_bytes(b"\xe9t\xe9")
    (tmp_path / "huge.md").write_bytes(b"x" * ((1 << 20) + 1))
    for slug in ("pipe", "folder", "dangling", "latin", "huge"):
        assert "cannot be read" in refusal(slug, [tmp_path])


def test_an_agent_of_the_workspace_cannot_link_out_of_it(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    write(workspace / WORKSPACE_AGENTS, "mine", "Be good.")
    (workspace / WORKSPACE_AGENTS / "out.md").symlink_to(write(tmp_path, "secret", "a secret"))
    (workspace / WORKSPACE_AGENTS / "in.md").symlink_to("mine.md")
    directories = agent_directories(workspace)
    assert "cannot be read" in refusal("out", directories)
    assert find_agent("in", directories).template == "Be good.\n"


def test_a_file_of_the_kernel_is_refused() -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_bounded(Path("/proc/self/environ"), 10)


def test_a_bounded_read_does_not_follow_links_out_of_its_root(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "in" / "file").write_text("0123456789")
    with pytest.raises(OSError, match="outside of"):
        read_bounded(tmp_path / "in" / "link", 10, inside=tmp_path / "in")
    assert read_bounded(tmp_path / "in" / "file", 4, inside=tmp_path / "in") == b"01234"


def test_finding_an_agent_imports_neither_a_parser_nor_a_template_engine() -> None:
    code = (
        "import sys; from pathlib import Path; from agent_runtime.prompting.agent_definitions import *;"
        "[find_agent(a, agent_directories(Path('/'))) for a in known_agents(agent_directories(Path('/')))];"
        "print(sorted({'yaml', 'jinja2', 'pydantic', 'asyncio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
