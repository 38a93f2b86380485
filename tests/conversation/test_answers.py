"""Which schemas and answers are accepted, and that checking them takes no longer than their size explains."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agent_runtime.conversation.answers import AnswerCheck
from agent_runtime.errors import RequestError

NUMBER = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}

ODD_NAMES = {
    "properties": {"a/b~c%d": {"$ref": "#/$defs/x~1y%25"}},
    "$defs": {"x/y%": {"type": "null"}},
}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "objekt"}, r"at \$\.type"),
        ({"properties": {"a": {"minimum": "1"}}}, r"at \$\.properties\.a\.minimum"),
        ({"type": "string", "pattern": "(["}, "regex"),
        ({"patternProperties": {"(": {}}}, "regex"),
        ({"required": "a"}, r"at \$\.required"),
        ({"$ref": "#/$defs/none"}, "references to parts of the schema itself, got '#/"),
        ({"$ref": "http://127.0.0.1:9/x.json"}, "references to parts of the schema itself, got 'http"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "references to parts of the schema itself"),
        ({"$ref": "file:///etc/passwd"}, "references to parts of the schema itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "leads to itself"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
            "leads to itself",
        ),
        ({"$ref": "#"}, "leads to itself"),
        ({"description": "x" * 64_000}, "at most 64,000 bytes"),
    ],
)
def test_what_is_no_schema_is_refused_by_name(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as raised:
        AnswerCheck(schema)
    assert raised.value.field == "outputSchema"


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "pattern": r"^\p{L}+$"}, '"é"', '"1"'),
        ({"type": "string", "pattern": r"^\d$"}, '"1"', '"٣"'),
        ({"type": "string", "pattern": r"^(?!b)\w$"}, '"a"', '"b"'),
        ({"type": "integer"}, "1.0", "1.5"),
        ({"multipleOf": 0.01}, "19.99", "19.999"),
        ({"type": "integer", "maximum": 5}, "5", "123456789012345678901234567890"),
        ({"enum": [1, "a", None]}, "null", "false"),
        ({"const": 1}, "1.0", "true"),
        (ODD_NAMES, '{"a/b~c%d": null}', '{"a/b~c%d": 1}'),
        ({"$id": "https://example.com/a", "$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "1", '"1"'),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer"}, "1", '"1"'),
        ({"items": {"$ref": "#"}, "type": "array"}, "[[], [[]]]", "[[], [1]]"),
        (NUMBER, '{"a": 1e308}', '{"a": 1e400}'),
        (NUMBER, '{"a": -0.0}', '{"a": -Infinity}'),
        (NUMBER, '{"a": 1}', '{"a": NaN}'),
        (NUMBER, '```json\n{"a": 1}\n```', "[" * 300 + "]" * 300),
    ],
)  # fmt: skip
def test_answers_are_checked_as_the_standard_says(schema: dict[str, Any], good: str, bad: str) -> None:
    check = AnswerCheck(schema)
    assert check.offer(good) is None
    assert "does not satisfy" in (check.offer(bad) or "")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", "a" * 50_000 + "!"),
        ("^(a|aa)+$", "a" * 50_000 + "!"),
        ("(.*a){20}$", "a" * 50 + "b" * 2_000),
        ("^(a+)+(?!b)$", "a" * 5_000 + "!"),
    ],
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_patterns_take_linear_time(keyword: str, pattern: str, text: str) -> None:
    schema: dict[str, Any] = {"pattern": pattern}
    if keyword == "patternProperties":
        schema = {"patternProperties": {pattern: True}, "additionalProperties": False}
    check = AnswerCheck(schema)
    started = time.process_time()
    check.offer_value(text if keyword == "pattern" else {text: 1})
    assert time.process_time() - started < 5  # a backtracking engine would need years


@pytest.mark.parametrize(
    ("schema", "given", "expected"),
    [
        ({"properties": {"a": {"type": "string"}}, "required": []}, {"a": None}, {}),
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"$ref": "#/$defs/x~1y%25"}}, "$defs": {"x/y%": {"type": "string"}}}, {"a": None}, {}),
        ({"anyOf": [{"type": "integer"}, {"properties": {"b": {"type": "string"}}}]}, {"b": None}, {}),
        ({"allOf": [{"properties": {"b": {"type": "string"}}}]}, {"b": None, "c": None}, {"c": None}),
        ({"items": {"properties": {"b": {"type": "string"}}}}, [{"b": None}], [{}]),
    ],
)  # fmt: skip
def test_null_of_a_strict_mode_is_left_out_of_optional_properties(
    schema: dict[str, Any], given: Any, expected: Any
) -> None:
    check = AnswerCheck(schema)
    assert check.offer_value(given) is None
    assert check.accepted is not None
    assert check.accepted.value == expected
