"""Validates the schema of a structured answer as the strict modes of providers do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.turns import Json

_KEYWORDS = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "description",
    ]
)


def answer_violations(format: WireFormat, body: Json) -> list[str]:
    """Return what a provider would refuse in the schema of the answer; nothing when the request has none."""
    sent = _format(format, body)
    if sent is None:
        return []
    if sent.get("type") != "json_schema" or not isinstance(sent.get("schema"), dict):
        return ["answer: expected a format of the type json_schema with a schema"]
    found: list[str] = []
    if format != "anthropic" and not (sent.get("name") and sent.get("strict") is True):
        found.append("answer: expected a name, and strict")
    schema = sent["schema"]
    if schema.get("type") != "object":
        found.append("answer: the root must be of the type object")
    definitions = schema.get("$defs", {})
    everywhere = [("#", schema), *((f"#/$defs/{name}", node) for name, node in definitions.items())]
    for where, node in everywhere:
        found += _node(format, node, where, definitions)
    if format == "anthropic" and any(_refers_back(name, definitions, ()) for name in definitions):
        found.append("answer: recursive schemas are not supported")
    return found


def _format(format: WireFormat, body: Json) -> Json | None:
    if format == "anthropic":
        return (body.get("output_config") or {}).get("format")
    if format == "openai-responses":
        return (body.get("text") or {}).get("format")
    sent = body.get("response_format")
    return None if sent is None else {"type": sent.get("type"), **(sent.get("json_schema") or {})}


def _node(format: WireFormat, node: Any, where: str, definitions: Json) -> Iterator[str]:
    if not isinstance(node, dict):
        yield f"answer: {where}: expected an object"
        return
    if "$ref" in node:
        if set(node) != {"$ref"} or str(node["$ref"]).removeprefix("#/$defs/") not in definitions:
            yield f"answer: {where}: $ref must stand alone and refer to a definition"
        return
    allowed = _KEYWORDS | ({"$defs"} if where == "#" else set())
    yield from (f"answer: {where}: {name} is not supported" for name in set(node) - allowed)
    if "type" not in node and "anyOf" not in node:
        yield f"answer: {where}: schema must have a type"
    if node.get("type") == "object":
        properties = node.get("properties", {})
        if node.get("additionalProperties") is not False:
            yield f"answer: {where}: additionalProperties must be false"
        if format != "anthropic" and set(node.get("required", ())) != set(properties):
            yield f"answer: {where}: required must name every property"
        for name, inner in properties.items():
            yield from _node(format, inner, f"{where}/{name}", definitions)
    if node.get("type") == "array":
        yield from _node(format, node.get("items"), f"{where}/items", definitions)
    for index, inner in enumerate(node.get("anyOf", ())):
        yield from _node(format, inner, f"{where}/anyOf/{index}", definitions)


def _refers_back(name: str, definitions: Json, path: tuple[str, ...]) -> bool:
    if name in path:
        return True
    return any(
        _refers_back(inner, definitions, (*path, name)) for inner in _references(definitions.get(name))
    )


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
