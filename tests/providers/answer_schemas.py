"""Schemas of answers of every kind."""

from __future__ import annotations

from typing import Any

from agent_runtime.testing.turns import Json

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ADA = {"name": "Ada", "age": 36}
TREE = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["label", "children"],
}
# kind: the schema, the answer that the model gives, the answer that is reported
SCHEMAS: dict[str, tuple[Json, Any, Any]] = {
    "nested": (
        {
            "type": "object",
            "properties": {"people": {"type": "array", "items": PERSON}},
            "required": ["people"],
        },
        {"people": [ADA]},
        {"people": [ADA]},
    ),
    "references": (
        {
            "type": "object",
            "properties": {"best": {"$ref": "#/definitions/person"}, "rest": {"$ref": "#/$defs/list"}},
            "required": ["best", "rest"],
            "definitions": {"person": PERSON},
            "$defs": {"list": {"type": "array", "items": {"$ref": "#/definitions/person"}}},
        },
        {"best": ADA, "rest": [ADA]},
        {"best": ADA, "rest": [ADA]},
    ),
    "enum without a type": (
        {"type": "object", "properties": {"mood": {"enum": ["good", None, 3]}}, "required": ["mood"]},
        {"mood": "good"},
        {"mood": "good"},
    ),
    "union": (
        {
            "type": "object",
            "properties": {"pet": {"oneOf": [PERSON, {"type": "string"}, {"const": 7}]}},
            "required": ["pet"],
        },
        {"pet": ADA},
        {"pet": ADA},
    ),
    "optional": (
        {
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"type": "integer"},
                "c": {"type": ["string", "null"]},
            },
            "required": ["a"],
        },
        {"a": "x", "b": None, "c": None},
        {"a": "x", "c": None},
    ),
    "restrictions": (
        {
            "type": "object",
            "properties": {"word": {"type": "string", "minLength": 2, "pattern": "^a"}},
            "required": ["word"],
            "additionalProperties": False,
        },
        {"word": "abc"},
        {"word": "abc"},
    ),
    "a list at the root": ({"type": "array", "items": PERSON}, {"answer": [ADA]}, [ADA]),
    "a union at the root": ({"anyOf": [PERSON, {"type": "null"}]}, {"answer": ADA}, ADA),
    "a reference at the root": ({"$ref": "#/$defs/p", "$defs": {"p": PERSON}}, {"answer": ADA}, ADA),
    "recursive": (
        TREE,
        {"label": "a", "children": [{"label": "b", "children": []}]},
        {"label": "a", "children": [{"label": "b", "children": []}]},
    ),
    "any names": (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"x": 1, "y": 2},
        {"x": 1, "y": 2},
    ),
    "a tuple": (
        {"type": "object", "properties": {"pair": {"type": "array", "prefixItems": [{"type": "string"}]}}},
        {"pair": ["a"]},
        {"pair": ["a"]},
    ),
}
