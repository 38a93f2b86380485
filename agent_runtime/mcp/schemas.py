"""The parameters of MCP tools in a form that model providers accept."""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import too_deep

MAX_SCHEMA = 64 << 10  # bytes of JSON
MAX_DESCRIPTION = 2048  # characters
_PROPERTY = lazy_pattern(r"[A-Za-z0-9_.-]{1,64}")  # providers refuse the whole request for another name
_COMBINERS = ("anyOf", "oneOf", "allOf")  # not accepted at the top level
_LEVELS = 50


def sendable_schema(schema: Any) -> dict[str, Any]:
    """Return the schema of a tool's arguments: an object at the top level, without combiners there.

    The properties of combined schemas are merged, without what they require.

    Raises:
        ValueError: a provider would refuse it; the message says why.
    """
    if not isinstance(schema, dict):
        raise ValueError("its parameters are not a JSON Schema")
    if too_deep(schema, _LEVELS):
        raise ValueError("its parameters are nested too deeply")
    if len(json.dumps(schema)) > MAX_SCHEMA:
        raise ValueError(f"the schema of its parameters is larger than {MAX_SCHEMA} bytes")
    properties = dict(_objects(schema.get("properties")))
    for combined in _COMBINERS:
        for part in _list(schema.get(combined)):
            if isinstance(part, dict):
                properties |= {
                    name: value
                    for name, value in _objects(part.get("properties")).items()
                    if name not in properties
                }
    if wrong := next((name for name in properties if not _PROPERTY.fullmatch(name)), None):
        raise ValueError(f"providers do not accept the name of its parameter {wrong[:80]!r}")
    kept = {name: value for name, value in schema.items() if name not in (*_COMBINERS, "$schema", "$id")}
    required = [
        name for name in _list(schema.get("required")) if isinstance(name, str) and name in properties
    ]
    kept |= {"type": "object", "properties": properties}
    kept.pop("required", None)
    return kept | ({"required": required} if required else {})


def _objects(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
