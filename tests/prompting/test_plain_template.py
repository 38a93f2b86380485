"""Plain templates are rendered as jinja2 renders them; all others are left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_runtime.prompting import plain_template, system_prompt
from agent_runtime.prompting.agent_definitions import Agent
from agent_runtime.prompting.plain_template import NotPlain, render_plain
from agent_runtime.prompting.skills import Skill
from agent_runtime.prompting.system_prompt import Facts, Instructions, render

REPO = Path(__file__).parents[2]
SECTIONS = REPO / "prompts" / "sections"
VARIABLES: dict[str, Any] = {
    "workspace": "/w {{ tools }}",
    "tools": ["bash", "ask_user"],
    "empty": [],
    "git": {"branch": "main\n"},
    "absent": None,
    "number": 3,
    "params": {"a": {"b": "ü<&>"}, "items": "x", "list": [{"c": "1"}, {"c": "2"}]},
}


def load(name: str) -> str:
    return (SECTIONS / name).read_text()


def by_jinja2(source: str) -> str:
    environment = system_prompt._environment()
    return environment.from_string(source).render(VARIABLES)


PIECES = [
    *(
        "{{ workspace }}",
        "{{git.branch}}",
        '{{ tools | join(", ") }}',
        "{{ params | json }}",
        "{{ params.a.b }}",
    ),
    *(
        '{% if "bash" in tools %}',
        '{% if "x" not in tools %}',
        "{% if git %}",
        "{% if not empty %}",
        "{% if absent %}",
    ),
    *(
        "{% else %}",
        "{% endif %}",
        "{% for one in params.list %}",
        "{{ one.c }}",
        "{% for t in tools %}",
        "{{ t }}",
    ),
    *(
        "{% endfor %}",
        '{% include "mounts.md" %}',
        "{%- if git -%}",
        "{# a comment #}",
        "{{ number }}",
        "{{ missing }}",
    ),
    *(
        "{{ params.items }}",
        "{{ loop.index }}",
        "{% if git and empty %}",
        "{% set x = 1 %}",
        "{{",
        "%}",
        "{% if",
    ),
    *("\n", "\n\n", "  ", "\t", "text", " { } ", "é\u2028", "}}", "\r\n"),
]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_rendered_is_what_jinja2_renders(source: str) -> None:
    try:
        ours = render_plain(source, VARIABLES | {"mounts": []}, load)
    except NotPlain:
        return
    variables = VARIABLES | {"mounts": []}
    assert ours == system_prompt._environment().from_string(source).render(variables)


@pytest.mark.parametrize(
    "source",
    [
        '{% for t in tools %}\n- {{ t }}\n{% endfor %}\n{% if "bash" in tools %}yes{% else %}no{% endif %}\n',
        "a\n  {% if git %}\n  {{ git.branch }}\n  {% endif %}\nb\n\n",
        "{{ workspace }}  {% if empty %}x{% endif %}  {{ params | json }}",
    ],
)
def test_plain_templates_are_not_left_to_jinja2(source: str) -> None:
    assert render_plain(source, VARIABLES, load) == by_jinja2(source)


@pytest.mark.parametrize(
    "agent", sorted((REPO / "prompts" / "agents").glob("*.md")), ids=lambda path: path.stem
)
@pytest.mark.parametrize("tools", [["bash"], ["ask_user", "get_dev_url"], []])
def test_the_prompts_of_the_package_are_plain(agent: Path, tools: list[str]) -> None:
    source = agent.read_text().split("---\n", 2)[2]
    facts = Facts(
        workspace=Path("/w"),
        model="m",
        date="2026-11-29",
        tools=tools,
        params={"a": 1},
        context={"b": [None]},
        mounts=[{"workspaceId": "one", "path": "/m"}],
        git_branch="main",
        instructions=[Instructions("AGENTS.md", "be brief")],
        skills=[Skill(name="s", description="d", path=Path("/s/SKILL.md"))],
    )
    variables = facts.variables(Agent(slug="a", name="A", description="", path=agent, template=source))
    rendered = render_plain(source, variables, load)
    assert rendered == system_prompt._environment().from_string(source).render(variables)
    assert "be brief" in rendered


def test_errors_are_those_of_jinja2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(workspace=tmp_path, model="m", date="2026-11-29")
    templates = [
        "{% if",
        "{{ nothing }}",
        "{{ params.x }}",
        '{% include "none.md" %}',
        "{% for x in 3 %}{% endfor %}",
    ]

    def outcomes() -> list[str]:
        found = []
        for template in templates:
            agent = Agent(slug="a", name="A", description="", path=tmp_path, template=template)
            try:
                found.append(render(agent, facts))
            except Exception as error:
                found.append(str(error))
        return found

    ours = outcomes()

    def never(*arguments: object) -> str:
        raise plain_template.NotPlain

    monkeypatch.setattr(system_prompt, "render_plain", never)
    assert ours == outcomes()
