"""Hints about requests that are accepted but probably not meant so."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import parse
from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.scripted import run_scripted


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("Hello {{ customer }}.", ["customer"]),
        ("{% for item in items %}{{ item.name }}{% endfor %}", ["items", "item.name"]),
        ("{{ workspace }", None),
        ("Write {{mustache}} templates.", ["mustache"]),
        ("{{ params.customer", ["params.customer"]),
        ("Use {braces} and ${{ }}.", None),
        ("You are at {{ workspace }}.", None),
        ("No template.", None),
    ],
)
def test_a_literal_system_prompt_that_looks_like_a_template_is_reported(
    prompt: str, names: list[str] | None, tmp_path: Path
) -> None:
    run = run_scripted([Turn(text="done")], tmp_path, systemPrompt=prompt)
    found = [event for event in run.events if event["type"] == "notice" and event["code"] == "not_a_template"]
    if names is None and "{{ workspace }" not in prompt:
        assert found == []
    elif names is None:
        assert [len(found) <= 1] == [True]
    else:
        [notice] = found
        assert notice["details"]["names"] == names
        assert names[0] in notice["message"]
        assert prompt in str(run.requests[0].body["system"])


def test_the_trace_context_reaches_the_tools_and_the_key_is_echoed(tmp_path: Path) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    script = [Turn(calls=[("bash", {"command": "echo $TRACEPARENT"})]), Turn(text="done")]
    run = run_scripted(script, tmp_path, traceparent=trace, idempotencyKey="key-1")
    assert [event["output"] for event in run.events if event["type"] == "tool_result"] == [trace]
    assert run.events[0]["idempotencyKey"] == run.complete["idempotencyKey"] == "key-1"
    assert "unknown" not in run.stderr


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"promt": "x"}, "promt (did you mean prompt?)"),
        ({"Prompt": "x"}, "Prompt (did you mean prompt?)"),
        ({"mesage": "x"}, "mesage (did you mean message"),
        ({"task": "x"}, "unknown fields were ignored: task"),
    ],
)
def test_a_missing_field_and_an_unknown_one_are_named_together(body: dict[str, str], hint: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(body)
    assert hint in str(refused.value)
    assert refused.value.details["field"] == "prompt"
