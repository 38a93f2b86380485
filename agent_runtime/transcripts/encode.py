"""Encodes the records of a transcript: each as one line of JSON in ASCII."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from agent_runtime.models.base import BaseModel
from agent_runtime.models.names import to_camel
from agent_runtime.protocol.messages import Frozen


def encode(kind: type[Frozen], values: Mapping[str, Any]) -> str:
    """Return the JSON of a record with the given values, the same as that of its `model_dump`.

    The values are those of `kind`; fields with a default may be missing. They are neither validated nor copied: the
    runtime itself made them, and a response may have thousands of chunks. ASCII keeps lone surrogates escaped, because
    a provider may split a pair over two chunks.
    """
    return _ENCODER.encode(members(kind, values))


def members(kind: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of the JSON object of a model, by their names in JSON. The values are left as they are."""
    found = {}
    for name, alias, default, is_left_out in _fields(kind):
        value = values.get(name, default)
        if is_left_out is None or not is_left_out(value):
            found[alias] = value
    return found


@cache
def _fields(kind: type[BaseModel]) -> list[tuple[str, str, Any, Any]]:
    """Return for each field its name, its name in JSON, its default, and what says whether it is left out."""
    return [
        (name, to_camel(name), field.default, field.exclude_if) for name, field in kind.model_fields.items()
    ]


def _members(value: BaseModel) -> dict[str, Any]:
    return members(type(value), vars(value))


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_members, check_circular=False)
