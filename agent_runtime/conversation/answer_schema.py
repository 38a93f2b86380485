"""The JSON Schema of a request's final answer: what is accepted as one, and its form for models.

The library jsonschema-rs is imported when a request has a schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

from agent_runtime.agent.model import AnswerFormat, ToolSpec
from agent_runtime.errors import RequestError
from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import MAX_DEPTH, too_deep

FIELD = "outputSchema"
TOOL = "final_answer"
WRAPPER = "answer"  # the property that holds an answer which is not an object
MAX_SCHEMA = 64_000  # bytes

_ROOT = "urn:answer"  # the URI of the schema in the registry
_POINTER = lazy_pattern(r"#(?:/(?:\$defs|definitions)/.*)")


def answer_format(schema: Mapping[str, Any]) -> AnswerFormat:
    """Return the format of an answer for the model. Raises RequestError when `schema` is not a schema."""
    AnswerValidator(schema)
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


class AnswerValidator:
    """Checks answers, and values inside of them, against a schema.

    The library is jsonschema-rs because its regular expressions take linear time and are those of ECMA 262, as the
    standard recommends. Those of Python's `re` may take exponential time, in which nothing else runs.

    Args:
        schema: the schema of the request. Raises RequestError when it is not one (draft 2020-12), or refers to anything
            outside of it.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        import jsonschema_rs  # noqa: PLC0415

        size = len(json.dumps(schema, ensure_ascii=False).encode())
        if size > MAX_SCHEMA:
            raise RequestError(FIELD, f"expected at most {MAX_SCHEMA:,} bytes, got {size:,}")
        if too_deep(schema):
            raise RequestError(FIELD, f"expected at most {MAX_DEPTH} levels")
        self.schema = schema
        self._library = jsonschema_rs
        self._validators: dict[str, Any] = {}
        root = {name: value for name, value in schema.items() if name not in ("$schema", "$id")}
        try:
            jsonschema_rs.Draft202012Validator(root, retriever=_refuse_to_retrieve)
            self._registry = jsonschema_rs.Registry(
                [(_ROOT, root)], draft=jsonschema_rs.Draft202012, retriever=_refuse_to_retrieve
            )
            self._at("")
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise _refused(schema, error) from None
        for reference in references(schema):
            _check_that_it_ends(schema, reference)

    def errors(self, value: Any) -> list[str]:
        """Return what is wrong with an answer, one line for each place; empty when it satisfies the schema."""
        found = sorted(self._at("").iter_errors(value), key=lambda error: list(map(str, error.instance_path)))
        return [f"{json_path(error.instance_path)}: {error.message}" for error in found]

    def is_valid(self, value: Any, pointer: str = "") -> bool:
        """Return whether a value satisfies the part of the schema at a JSON pointer."""
        return bool(self._at(pointer).is_valid(value))

    def _at(self, pointer: str) -> Any:
        found = self._validators.get(pointer)
        if found is None:
            schema = {"$ref": f"{_ROOT}#{quote(pointer)}"}
            found = self._library.Draft202012Validator(
                schema, registry=self._registry, retriever=_refuse_to_retrieve
            )
            self._validators[pointer] = found
        return found


def _refused(schema: Mapping[str, Any], error: Any) -> RequestError:
    for reference in references(schema):
        try:
            resolve(schema, reference)
        except LookupError:
            message = f"expected references to parts of the schema itself, got {reference[:200]!r}"
            return RequestError(FIELD, message)
    steps, message = getattr(error, "instance_path", ()), getattr(error, "message", str(error))
    place = f" at {json_path(steps)}" if steps else ""
    return RequestError(FIELD, f"expected a JSON Schema (draft 2020-12){place}: {message[:300]}")


def _check_that_it_ends(schema: Mapping[str, Any], reference: str) -> None:
    seen: set[str] = set()
    following: Any = reference
    with suppress(LookupError):  # an anchor
        while isinstance(following, str):
            if following in seen:
                raise RequestError(
                    FIELD, f"expected references that end, but {reference[:200]!r} leads to itself"
                )
            seen.add(following)
            target = resolve(schema, following)
            following = target.get("$ref") if isinstance(target, Mapping) else None


def json_path(steps: Sequence[str | int]) -> str:
    """Return the path of a value in an answer, such as `$.people[0].name`."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def pointer_to(pointer: str, *steps: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a part of what is at a pointer."""
    return "".join((pointer, *(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)))


def _refuse_to_retrieve(uri: str) -> Any:
    raise ValueError(f"{uri} is outside of the schema")


def resolve(root: Mapping[str, Any], reference: str) -> Any:
    """Return what a reference to a part of a schema refers to. Raises LookupError for all other references."""
    if not reference.startswith("#"):
        raise LookupError(reference)
    return part_at(root, unquote(reference[1:]))


def part_at(root: Mapping[str, Any], pointer: str) -> Any:
    """Return the part of a schema at a JSON pointer. Raises LookupError when there is none."""
    found: Any = root
    first, *steps = pointer.split("/")
    if first:
        raise LookupError(pointer)
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise LookupError(pointer)
    return found


class Pruner:
    """Leaves out null where an optional property must not be null: strict modes send it for a missing one."""

    def __init__(self, validator: AnswerValidator) -> None:
        self._root, self._validator = validator.schema, validator

    def pruned(self, value: Any) -> Any:
        """Return the value without these; as it is when it satisfies the schema."""
        if self._validator.is_valid(value):
            return value
        return self._of(value, "", 0)

    def _of(self, value: Any, pointer: str, depth: int) -> Any:
        schema = part_at(self._root, pointer)
        if not isinstance(schema, Mapping) or not isinstance(value, dict | list) or depth > MAX_DEPTH:
            return value
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            with suppress(LookupError):
                value = self._of(value, unquote(reference[1:]), depth + 1)
        for index in range(len(schema.get("allOf", ()))):
            value = self._of(value, pointer_to(pointer, "allOf", index), depth + 1)
        value = self._of_union(value, schema, pointer, depth)
        if isinstance(value, list):
            items = pointer_to(pointer, "items")
            return [self._of(item, items, depth + 1) for item in value] if "items" in schema else value
        return self._of_object(value, schema, pointer, depth)

    def _of_union(self, value: Any, schema: Mapping[str, Any], pointer: str, depth: int) -> Any:
        for keyword in ("anyOf", "oneOf"):
            for index in range(len(schema.get(keyword, ()))):
                branch = pointer_to(pointer, keyword, index)
                candidate = self._of(value, branch, depth + 1)
                if self._validator.is_valid(candidate, branch):
                    return candidate
        return value

    def _of_object(
        self, value: dict[str, Any], schema: Mapping[str, Any], pointer: str, depth: int
    ) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        pruned: dict[str, Any] = {}
        for name, item in value.items():
            if name not in properties:
                pruned[name] = item
                continue
            inner = pointer_to(pointer, "properties", name)
            if item is not None or name in required or self._validator.is_valid(None, inner):
                pruned[name] = self._of(item, inner, depth + 1)
        return pruned
