from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.cli.run import merge
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import parse

TASK = {"prompt": "do it"}

WRONG: list[tuple[Any, str]] = [
    ([], "request"),
    ("text", "request"),
    ({}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": 7}, "prompt"),
    ({"prompt": "  \n"}, "prompt"),
    ({"message": ["x"]}, "prompt"),
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": ["hello"]}, "messages[0]"),
    (TASK | {"config": []}, "config"),
    (TASK | {"config": {"maxTurns": 0}}, "config.maxTurns"),
    (TASK | {"config": {"max_turns": "5"}}, "config.maxTurns"),
    (TASK | {"config": {"maxTurns": True}}, "config.maxTurns"),
    (TASK | {"config": {"maxTokens": 1.5}}, "config.maxTokens"),
    (TASK | {"config": {"maxTotalTokens": -1}}, "config.maxTotalTokens"),
    (TASK | {"config": {"temperature": 2.1}}, "config.temperature"),
    (TASK | {"config": {"temperature": "warm"}}, "config.temperature"),
    (TASK | {"temperature": -0.1}, "config.temperature"),
    (TASK | {"config": {"timeout": 0}}, "config.timeout"),
    (TASK | {"config": {"connectTimeout": 0}}, "config.connectTimeout"),
    (TASK | {"config": {"first_token_timeout": "5"}}, "config.firstTokenTimeout"),
    (TASK | {"config": {"betweenTokensTimeout": -1}}, "config.betweenTokensTimeout"),
    (TASK | {"config": {"effort": "huge"}}, "config.effort"),
    (TASK | {"config": {"thinking": "yes"}}, "config.thinking"),
    (TASK | {"config": {"maxRetries": -1}}, "config.maxRetries"),
    (TASK | {"tools": "bash"}, "tools"),
    (TASK | {"tools": ["bash", 3]}, "tools[1]"),
    (TASK | {"model": 5}, "model"),
    (TASK | {"model": {"provider": "custom"}}, "model.name"),
    (TASK | {"model": {"provider": "custom", "name": "m", "endpoint": "ftp://x"}}, "model.endpoint"),
    (TASK | {"model": ["a", 3]}, "model"),
    (TASK | {"env": {"A": 1}}, "env.A"),
    (TASK | {"env": {"A=B": "1"}}, "env"),
    (TASK | {"env": {"A": "x\0"}}, "env"),
    (TASK | {"mounts": [{"workspaceId": "w"}]}, "mounts[0].path"),
    (TASK | {"mounts": {"path": "x"}}, "mounts"),
    (TASK | {"params": "x"}, "params"),
    (TASK | {"context": [1]}, "context"),
    (TASK | {"runId": "../../etc"}, "runId"),
    (TASK | {"threadId": 5}, "threadId"),
    (TASK | {"stream": "no"}, "stream"),
    (TASK | {"agent": ""}, "agent"),
]


@pytest.mark.parametrize(("raw", "field"), WRONG, ids=[f"{field}-{i}" for i, (_, field) in enumerate(WRONG)])
def test_a_wrong_request_is_refused_by_the_name_of_its_field(raw: Any, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(raw)
    assert refused.value.field == field
    assert refused.value.problem


def test_both_api_versions_of_the_body_are_equivalent() -> None:
    older = {"message": "hi", "agent_slug": "reviewer", "max_turns": 3, "thread_id": "t", "params": None}
    newer = {"prompt": "hi", "agent": "reviewer", "config": {"maxTurns": 3}, "threadId": "t"}
    assert parse(older) == parse(newer)


def test_unknown_fields_are_named_and_ignored() -> None:
    request, unknown = parse(TASK | {"foo": 1, "config": {"bar": 2, "maxTurns": 4}})
    assert unknown == ["config.bar", "foo"]
    assert parse(TASK | {"config": {"maxTurn": 4}})[1] == ["config.maxTurn (did you mean config.maxTurns?)"]
    assert request.config.max_turns == 4


def test_a_path_may_be_as_long_as_the_kernel_takes_it() -> None:
    path = "/workspace" + "/folder" * 500
    request, _ = parse({"prompt": "x", "workspace": path, "mounts": [{"workspaceId": "w", "path": path}]})
    assert (request.workspace, request.mounts[0].path) == (path, path)


def test_a_key_in_a_refused_model_is_not_repeated() -> None:
    with pytest.raises(RequestError) as refused:
        parse(TASK | {"model": {"provider": "custom", "apiKey": ["sk-very-secret"], "name": "x"}})
    assert refused.value.field == "model.apiKey"
    assert "sk-very-secret" not in str(refused.value)


def test_an_option_wins_over_the_request() -> None:
    raw = {"prompt": "a", "config": {"maxTurns": 3, "timeout": 9}, "model": "claude-x", "workspace": "/a"}
    merged = merge(raw, {"maxTurns": 5, "model": "gpt-5", "workspace": "/b"})
    request, _ = parse(merged)
    assert (request.config.max_turns, request.config.timeout, request.model, request.workspace) == (
        5,
        9,
        "gpt-5",
        "/b",
    )


def test_lone_surrogates_in_a_request_are_replaced() -> None:
    request, _ = parse({"prompt": "a\ud800b", "metadata": {"k": ["\udfff"]}})
    assert request.prompt == "a\ufffdb"
    assert request.metadata == {"k": ["\ufffd"]}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"format": "json"}, "format: expected 'ndjson' or 'pretty', got 'json'"),
        (
            {"config": {"effort": "extreme"}},
            "config.effort: expected 'low', 'medium', 'high', 'xhigh' or 'max', got 'extreme'",
        ),
        ({"config": {"maxTurns": "abc"}}, "config.maxTurns: expected an integer, got 'abc'"),
        ({"config": {"maxTurns": 0}}, "config.maxTurns: expected a number of at least 1, got 0"),
        ({"config": {"thinking": 1}}, "config.thinking: expected true or false, got 1"),
        ({"tools": {"a": 1}}, "tools: expected an array, got an object"),
        ({"skills": "all"}, "skills: expected true, false, or a list of names, got 'all'"),
        ({"skills": [1]}, "skills: expected true, false, or a list of names, got an array"),
        ({"config": {"maxCost": 0}}, "config.maxCost: expected a number above 0, got 0"),
        ({"askUser": 1}, "askUser: expected true or false, got 1"),
        ({"outputSchema": []}, "outputSchema: expected an object, got an array"),
        ({"threadId": "a b"}, "threadId: expected 1 to 128 letters, digits, `.`, `_` or `-`, got 'a b'"),
        ({"env": {"A=B": "1"}}, "env: expected names of variables as keys: 'A=B' is not a variable name"),
        ({"env": {"A": 5}}, "env.A: expected a string, got 5"),
        (
            {"model": {"provider": "custom", "name": "m", "endpoint": "localhost:1234"}},
            "model.endpoint: expected an http(s) URL, got 'localhost:1234'",
        ),
    ],
)
def test_the_message_names_the_expected_and_the_given_value(raw: Any, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(TASK | raw)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "/tmp/x\0", "é\0"], ids=["alone", "inside", "at_the_end", "after_é"]
)
@pytest.mark.parametrize(
    "field", ["workspace", "stateDir", "record", "toolUser", "agentsDir", "skillsDir", "mcpConfig"]
)
def test_a_path_or_user_with_a_nul_is_refused_by_the_name_of_its_field(field: str, text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(TASK | {field: text})
    assert str(refused.value) == f"{field}: expected a string without NUL characters, got {text!r}"
