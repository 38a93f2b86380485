"""Translates JSON Schemas into the part of the language that the strict modes of providers accept.

A translation may accept more than the original, so every answer is checked against the original. What cannot be
translated raises NotExpressible.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from agent_runtime.agent.model import AnswerFormat
from agent_runtime.conversation.answer_schema import WRAPPER, resolve
from agent_runtime.lazy import dataclass
from agent_runtime.providers.schema_dialects import Dialect, NotExpressible, check_size

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"),
        *("$schema", "$id", "$defs", "definitions", "discriminator"),
    )
)
# keywords that define the form of a value; all others only restrict it further
_SHAPES = frozenset(["type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"])
_OPEN = ("patternProperties", "prefixItems", "$dynamicRef", "$anchor", "unevaluatedProperties")
_DESCRIBED = 200  # characters of a restriction that is described to the model


@dataclass(frozen=True)
class StrictSchema:
    """A translated schema, and what the translation has changed."""

    schema: dict[str, Any]
    changes: Sequence[str]


def strict_schema(answer: AnswerFormat, dialect: Dialect) -> StrictSchema:
    """Translate the schema of an answer. Raises NotExpressible."""
    translator = _Translator(answer.schema, dialect)
    root = translator.translate(answer.schema, "#")
    if answer.wrapped:
        root = _closed({WRAPPER: root}, [WRAPPER])
    if translator.definitions:
        root = root | {"$defs": translator.definitions}
    check_size(root, dialect)
    return StrictSchema(root, translator.changes())


def _closed(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


@dataclass
class _Translator:
    root: Mapping[str, Any]
    dialect: Dialect
    definitions: dict[str, Any] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)  # of definitions, by the reference to them
    _open: list[str] = field(default_factory=list)  # the references that are being translated
    _restrictions: set[str] = field(default_factory=set)
    _nullable: bool = False

    def changes(self) -> list[str]:
        """What the translation has changed, for the notice."""
        found = []
        if self._nullable:
            found.append("an optional property may be null, and is then left out")
        if self._restrictions:
            found.append(f"{', '.join(sorted(self._restrictions))}: described to the model")
        return found

    def translate(self, node: Any, where: str) -> dict[str, Any]:
        """Translate one schema. Raises NotExpressible."""
        if not isinstance(node, Mapping):
            raise NotExpressible(f"{where} takes {'any value' if node else 'no value'}")
        if unknown := [name for name in _OPEN if name in node]:
            raise NotExpressible(f"{where} has {unknown[0]}")
        node = self._merged(node, where)
        if "$ref" in node:
            return self._reference(node, where)
        branches = node.get("anyOf", node.get("oneOf"))
        if branches is not None and "properties" not in node:
            given: dict[str, Any] = {"type": node["type"]} if "type" in node else {}
            translated = [
                self.translate(
                    {**given, **branch} if isinstance(branch, Mapping) else branch, f"{where}/anyOf/{i}"
                )
                for i, branch in enumerate(branches)
            ]
            return self._described(node, {"anyOf": translated}, {"anyOf", "oneOf", "type"})
        return self._typed(node, where)

    def _merged(self, node: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        """The schema without `allOf`, where it is one schema in another form."""
        inner = node.get("allOf")
        if inner is None:
            return node
        rest = {name: value for name, value in node.items() if name != "allOf"}
        if (
            len(inner) == 1
            and isinstance(inner[0], Mapping)
            and not (rest.keys() & inner[0].keys() & _SHAPES)
        ):
            return self._merged({**inner[0], **rest}, where)
        raise NotExpressible(f"{where} has allOf")

    def _reference(self, node: Mapping[str, Any], where: str) -> dict[str, Any]:
        if node.keys() & (_SHAPES - {"$ref"}):
            raise NotExpressible(f"{where} has a $ref with other keywords")
        self._note(node, {"$ref"})
        reference = node["$ref"]
        if reference in self._open and not self.dialect.recursive:
            raise NotExpressible(f"{where} refers to itself")
        if reference not in self._names:
            self._names[reference] = name = self._new_name(reference)
            self._open.append(reference)
            self.definitions[name] = self.translate(self._target(reference), reference)
            self._open.pop()
        return {"$ref": f"#/$defs/{self._names[reference]}"}

    def _target(self, reference: str) -> Any:
        try:
            return resolve(self.root, reference)
        except LookupError:
            raise NotExpressible(f"$ref {reference}") from None

    def _new_name(self, reference: str) -> str:
        last = (
            "".join(c if c.isascii() and c.isalnum() else "_" for c in reference.rpartition("/")[2]) or "root"
        )
        taken = set(self._names.values())
        return last if last not in taken else f"{last}_{len(taken)}"

    def _typed(self, node: Mapping[str, Any], where: str) -> dict[str, Any]:
        values = [node["const"]] if "const" in node else node.get("enum")
        types = node.get("type")
        if types is None and values is None:
            types = next((kind for kind, name in _IMPLIED.items() if name in node), None)
        if values is not None:
            found = [self._enum(kind, group) for kind, group in _grouped(values, types, where).items()]
        elif types is None:
            raise NotExpressible(f"{where} has no type")
        else:
            kinds = [types] if isinstance(types, str) else list(types)
            found = [self._of_type(kind, node, where) for kind in kinds]
        shape = found[0] if len(found) == 1 else {"anyOf": found}
        return self._described(node, shape, _OWN)

    def _enum(self, kind: str, values: list[Any]) -> dict[str, Any]:
        return {"type": kind} if kind == "null" else {"type": kind, "enum": values}

    def _of_type(self, kind: str, node: Mapping[str, Any], where: str) -> dict[str, Any]:
        if kind == "object":
            return self._object(node, where)
        if kind == "array":
            if not isinstance(node.get("items"), Mapping):
                raise NotExpressible(f"{where} is a list of any values")
            return {"type": "array", "items": self.translate(node["items"], f"{where}/items")}
        return {"type": kind}

    def _object(self, node: Mapping[str, Any], where: str) -> dict[str, Any]:
        properties, required = node.get("properties", {}), node.get("required", [])
        others = node.get("additionalProperties", True)
        if isinstance(others, Mapping) or (not properties and others is not False):
            raise NotExpressible(f"{where} is an object with any names")
        if missing := [name for name in required if name not in properties]:
            raise NotExpressible(f"{where} requires {missing[0]}, whose form is not given")
        translated = {
            name: self.translate(value, f"{where}/properties/{name}") for name, value in properties.items()
        }
        if not self.dialect.required:
            return _closed(translated, [name for name in properties if name in required])
        for name in properties:
            if name not in required:
                self._nullable = True
                translated[name] = _nullable(translated[name])
        return _closed(translated, list(properties))

    def _described(self, node: Mapping[str, Any], shape: dict[str, Any], own: set[str]) -> dict[str, Any]:
        """The shape with the description of the node, and with restrictions that the strict mode does not take."""
        lost = self._note(node, own)
        texts = [str(node["description"])] if node.get("description") else []
        described = ", ".join(f"{name}: {text}" for name, text in lost.items() if len(text) <= _DESCRIBED)
        texts += [f"({described})"] if described else []
        return shape | ({"description": " ".join(texts)} if texts else {})

    def _note(self, node: Mapping[str, Any], own: set[str]) -> dict[str, str]:
        lost = {name: value for name, value in node.items() if name not in own and name not in _ANNOTATIONS}
        self._restrictions |= lost.keys()
        return {name: json.dumps(value, ensure_ascii=False) for name, value in lost.items()}


_IMPLIED = {"object": "properties", "array": "items"}
_OWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "const"}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    if "anyOf" in schema:
        return schema if null in schema["anyOf"] else schema | {"anyOf": [*schema["anyOf"], null]}
    return schema if schema.get("type") == "null" else {"anyOf": [schema, null]}


def _grouped(values: Sequence[Any], types: Any, where: str) -> dict[str, list[Any]]:
    """The values of an enum by their type: strict modes want a type beside each enum."""
    allowed = [types] if isinstance(types, str) else types
    groups: dict[str, list[Any]] = {}
    for value in values:
        kind = _JSON_TYPES.get(type(value))
        if kind is None:
            raise NotExpressible(f"{where} has an object or a list among its values")
        if kind == "integer" and allowed is not None and "integer" not in allowed:
            kind = "number"
        if allowed is None or kind in allowed:
            groups.setdefault(kind, []).append(value)
    if not groups:
        raise NotExpressible(f"{where} takes no value")
    return groups
