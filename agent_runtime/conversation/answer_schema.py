"""The JSON Schema of a request's final answer: what is accepted as one, and its form for models.

The library jsonschema is imported when a request has a schema: it takes 0.1 s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from agent_runtime.agent.model import AnswerFormat, ToolSpec
from agent_runtime.errors import RequestError
from agent_runtime.lazy import lazy_pattern

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

FIELD = "outputSchema"
TOOL = "final_answer"
WRAPPER = "answer"  # the property that holds an answer which is not an object
MAX_SCHEMA = 64_000  # bytes

_POINTER = lazy_pattern(r"#(?:/(?:\$defs|definitions)/.*)")


def answer_format(schema: Mapping[str, Any]) -> AnswerFormat:
    """Return the format of an answer for the model. Raises RequestError when `schema` is not a schema."""
    checked_schema(schema)
    wrapped = not _is_object(schema)
    parameters = _wrapped(schema) if wrapped else dict(schema)
    for name in ("$schema", "$id"):
        parameters.pop(name, None)
    description = "Give the final answer to the user. Call it once, when the task is done: it ends the run."
    return AnswerFormat(dict(schema), wrapped, ToolSpec(TOOL, description, parameters))


def _is_object(schema: Mapping[str, Any]) -> bool:
    """Whether the root says that answers are objects, without a union or a reference."""
    is_union = any(name in schema for name in ("anyOf", "oneOf", "allOf", "$ref", "enum", "const"))
    return schema.get("type") == "object" and not is_union


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    definitions = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    inner = {name: value for name, value in schema.items() if name not in (*definitions, "$schema", "$id")}
    if not all(_POINTER.fullmatch(reference) for reference in references(schema)):
        definitions, inner = (
            {},
            {"description": f"A value that satisfies this JSON Schema: {json.dumps(schema)}"},
        )
    return {"type": "object", "properties": {WRAPPER: inner}, "required": [WRAPPER], **definitions}


def references(schema: Any) -> Iterator[str]:
    """Yield every `$ref` in a schema."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from references(item)


def checked_schema(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return the validator of a schema. Raises RequestError when it is not one, or refers to anything outside of it."""
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    size = len(json.dumps(schema, ensure_ascii=False).encode())
    if size > MAX_SCHEMA:
        raise RequestError(FIELD, f"expected at most {MAX_SCHEMA:,} bytes, got {size:,}")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = f" at {error.json_path}" if error.path else ""
        raise RequestError(
            FIELD, f"expected a JSON Schema (draft 2020-12){place}: {error.message[:300]}"
        ) from None
    _check_patterns(schema)
    resource = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", resource).resolver("")
    for reference in references(schema):
        try:
            resolver.lookup(reference)
        except (Unresolvable, ValueError):
            raise RequestError(
                FIELD, f"expected references to parts of the schema itself, got {reference[:200]!r}"
            ) from None
    return Draft202012Validator(schema, registry=Registry())


def _check_patterns(schema: Any) -> None:
    if isinstance(schema, Mapping):
        patterns = [schema.get("pattern"), *(schema.get("patternProperties") or {})]
        for pattern in patterns:
            try:
                re.compile(pattern if isinstance(pattern, str) else "")
            except re.error as error:
                raise RequestError(
                    FIELD, f"expected a regular expression, got {pattern!r}: {error}"
                ) from None
        for value in schema.values():
            _check_patterns(value)
    elif isinstance(schema, list):
        for item in schema:
            _check_patterns(item)


def resolve(root: Mapping[str, Any], reference: str) -> Any:
    """Return what a reference to a part of a schema refers to. Raises LookupError for all other references."""
    found: Any = root
    if reference != "#" and not reference.startswith("#/"):
        raise LookupError(reference)
    for step in unquote(reference[2:]).split("/") if reference != "#" else ():
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise LookupError(reference)
    return found


class Pruner:
    """Leaves out null where an optional property must not be null: strict modes send it for a missing one."""

    def __init__(self, root: Mapping[str, Any], validator: Draft202012Validator) -> None:
        self._root, self._validator = root, validator

    def pruned(self, value: Any) -> Any:
        """Return the value without these; as it is when it satisfies the schema."""
        if self._is_valid(self._root, value):
            return value
        return self._of(value, self._root, 0)

    def _of(self, value: Any, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping) or not isinstance(value, dict | list) or depth > 100:
            return value
        if isinstance(schema.get("$ref"), str):
            with suppress(LookupError):
                value = self._of(value, resolve(self._root, schema["$ref"]), depth + 1)
        for branch in schema.get("allOf", ()):
            value = self._of(value, branch, depth + 1)
        for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            candidate = self._of(value, branch, depth + 1)
            if self._is_valid(branch, candidate):
                value = candidate
                break
        if isinstance(value, list):
            return [self._of(item, schema.get("items"), depth + 1) for item in value]
        properties, required = schema.get("properties", {}), schema.get("required", ())
        return {
            name: self._of(item, properties.get(name), depth + 1)
            for name, item in value.items()
            if item is not None
            or name in required
            or name not in properties
            or self._is_valid(properties[name], None)
        }

    def _is_valid(self, schema: Any, value: Any) -> bool:
        try:
            return bool(self._validator.evolve(schema=schema).is_valid(value))
        except RecursionError:
            return False
