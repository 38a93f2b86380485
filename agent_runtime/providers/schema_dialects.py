"""The part of JSON Schema that the strict modes of providers accept: one dialect for each vendor, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class Dialect:
    """What a strict mode accepts.

    required: every property must be required: an optional one is sent as one that may be null.
    recursive: a schema may refer to itself.
    optional, unions: the largest number of each. depth: of objects and lists inside each other.
    """

    required: bool
    recursive: bool
    optional: int
    unions: int
    depth: int = 10
    properties: int = 5000
    values: int = 1000  # of all enums


ANTHROPIC = Dialect(required=False, recursive=False, optional=24, unions=16)
OPENAI = Dialect(required=True, recursive=True, optional=5000, unions=5000)


class NotExpressible(Exception):
    """A strict mode has no form for a part of a schema; the message names the part and the reason."""


def check_size(root: dict[str, Any], dialect: Dialect) -> None:
    """Raises NotExpressible for a translated schema that is larger than the dialect takes."""
    nodes = list(_nodes(root, 0))
    objects = [node for node, _ in nodes if "properties" in node]
    counts = {
        "properties": (sum(len(node["properties"]) for node in objects), dialect.properties),
        "optional properties": (
            sum(len(node["properties"]) - len(node["required"]) for node in objects),
            dialect.optional,
        ),
        "unions": (sum("anyOf" in node for node, _ in nodes), dialect.unions),
        "values": (sum(len(node.get("enum", ())) for node, _ in nodes), dialect.values),
        "levels": (max(depth for _, depth in nodes), dialect.depth),
    }
    for what, (count, most) in counts.items():
        if count > most:
            raise NotExpressible(f"it has {count} {what}, at most {most} are accepted")


def _nodes(node: dict[str, Any], depth: int) -> Iterator[tuple[dict[str, Any], int]]:
    """All schemas inside a translated one, with their depth."""
    inside = depth + ("properties" in node or "items" in node)
    yield node, inside
    for definition in node.get("$defs", {}).values():
        yield from _nodes(definition, 0)
    for inner in [*node.get("properties", {}).values(), *filter(None, [node.get("items")])]:
        yield from _nodes(inner, inside)
    for branch in node.get("anyOf", ()):
        yield from _nodes(branch, depth)
