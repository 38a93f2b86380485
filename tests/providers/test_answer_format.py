"""Schemas of every kind in every wire format: what is sent is valid there, and the model's answer is accepted."""

from __future__ import annotations

import json
import random
from typing import Any, get_args

import pytest

from agent_runtime.agent.model import ModelCall
from agent_runtime.conversation.answers import AnswerCheck
from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import UserMessage, WireFormat
from agent_runtime.providers.connect import wire_for
from agent_runtime.providers.endpoints import resolve
from agent_runtime.testing.answer_checks import answer_violations
from agent_runtime.testing.turns import Json
from tests.providers.answer_schemas import PERSON, SCHEMAS

MODELS: dict[WireFormat, str] = {
    "anthropic": "anthropic:claude-sonnet-4-5",
    "openai-responses": "openai:gpt-5.2",
    "openai-chat": "openai-chat:gpt-5.2",
}
BY_TOOL = {"any names", "a tuple"}  # and where a schema must not refer to itself


def encoded(schema: Json, format: WireFormat) -> tuple[Json, list[str]]:
    wire = wire_for(resolve(MODELS[format], {}))
    call = ModelCall("m", "", [UserMessage.of("x")], answer=AnswerCheck(schema).format)
    body, dropped = wire.encode(call)
    return body, [each.reason for each in dropped if each.parameter == "outputSchema"]


def has_tool(body: Json) -> bool:
    return "final_answer" in json.dumps(body.get("tools", []))


@pytest.mark.parametrize("format", get_args(WireFormat))
@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_sent_in_a_form_that_the_provider_accepts(kind: str, format: WireFormat) -> None:
    schema, given, expected = SCHEMAS[kind]
    body, _ = encoded(schema, format)
    assert answer_violations(format, body) == []
    by_tool = kind in BY_TOOL or (kind, format) == ("recursive", "anthropic")
    assert has_tool(body) == by_tool
    assert any(name in body for name in ("response_format", "text", "output_config")) != by_tool
    check = AnswerCheck(schema)
    assert check.offer(json.dumps(given)) is None
    assert check.accepted is not None and check.accepted.value == expected


LOST = {
    "anthropic": {"restrictions", *BY_TOOL, "recursive"},
    "openai-responses": {"restrictions", "optional", *BY_TOOL},
    "openai-chat": {"restrictions", "optional", *BY_TOOL},
}


@pytest.mark.parametrize("format", get_args(WireFormat))
def test_schemas_beyond_the_strict_mode_are_reported(format: WireFormat) -> None:
    reported = {kind for kind, (schema, _, _) in SCHEMAS.items() if encoded(schema, format)[1]}
    assert reported == LOST[format]


def deep(levels: int) -> Json:
    return (
        PERSON
        if not levels
        else {"type": "object", "properties": {"in": deep(levels - 1)}, "required": ["in"]}
    )


@pytest.mark.parametrize(
    "schema",
    [
        deep(12),
        {"type": "object", "properties": {"a": {"enum": [{"x": 1}]}}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"allOf": [PERSON, PERSON]}}},
        {"type": "object", "patternProperties": {"^a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"enum": list(range(2000))}}},
    ],
)
@pytest.mark.parametrize("format", get_args(WireFormat))
def test_untranslatable_schemas_are_enforced_by_the_tool(schema: Json, format: WireFormat) -> None:
    body, reported = encoded(schema, format)
    assert has_tool(body) and len(reported) == 1
    assert answer_violations(format, body) == []


@pytest.mark.parametrize(
    "schema, given, expected",
    [
        # null for a property that may be left out, below a list, a union and a reference
        (
            {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/p"}, {"type": "string"}]},
             "$defs": {"p": {"type": "object", "properties": {"a": {"type": "string"}}}}},
            [{"a": None}, "x", {"a": "y"}],
            [{}, "x", {"a": "y"}],
        ),
        # null that is required, or allowed, stays
        (
            {"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "string"}}, "required": ["a"]},
            {"a": None, "b": None},
            {"a": None},
        ),
        # an answer of the wrapper's own form is not unwrapped twice
        (
            {"anyOf": [{"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"],
                        "additionalProperties": False}, {"type": "string"}]},
            {"answer": 3},
            {"answer": 3},
        ),
        ({"enum": [1, "two", [3]]}, {"answer": [3]}, [3]),
        ({"type": "object", "properties": {"n": {"type": "number"}}}, {"n": 10**40}, {"n": 10**40}),
    ],
)  # fmt: skip
def test_answers_are_reported_as_the_schema_has_them(schema: Json, given: Any, expected: Any) -> None:
    check = AnswerCheck(schema)
    assert check.offer(json.dumps(given)) is None
    assert check.accepted is not None and check.accepted.value == expected


KEYWORDS = (
    *("type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs"),
    *("additionalProperties", "prefixItems", "not", "if", "minLength", "pattern", "format", "description"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, "", "string", "object", "#", "#/$defs/p", "#/$defs/none", "[", [], {}),
    *(["a"], [{}], [1, 1], ["object", "null"], {"type": "string"}, {"a": {"type": "integer"}}, PERSON),
)


def mangled(value: Any, dice: random.Random) -> Any:
    """The value with something in it replaced, added, or left out."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice([*value, dice.choice(KEYWORDS)])
        rest = {key: inner for key, inner in value.items() if key != name or dice.random() < 0.9}
        return rest | {name: mangled(value.get(name), dice)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        index = dice.randrange(len(value))
        return [*value[:index], mangled(value[index], dice), *value[index + 1 :]]
    return dice.choice(VALUES)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_mangled_schema_is_refused_or_sent_in_a_form_that_providers_take(kind: str) -> None:
    dice = random.Random(kind)
    schema, given, _ = SCHEMAS[kind]
    used = 0
    for _ in range(150):
        changed = schema
        for _ in range(dice.randint(1, 3)):
            changed = mangled(changed, dice)
        if not isinstance(changed, dict):
            continue
        try:
            check = AnswerCheck(changed)
        except RequestError as error:
            assert error.field == "outputSchema"
            continue
        used += 1
        for format in get_args(WireFormat):
            body, _ = encoded(changed, format)
            assert answer_violations(format, body) == [], changed
        answers: list[Any] = [given, mangled(given, dice), None, [], "x"]
        for answer in answers:
            check.offer(json.dumps(answer))
    assert used > 10
