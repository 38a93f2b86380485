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
    record = {}
    for name, alias, default, is_left_out in _fields(kind):
        value = values.get(name, default)
        if is_left_out is None or not is_left_out(value):
            record[alias] = value
    return _ENCODER.encode(record)


@cache
def _fields(kind: type[Frozen]) -> list[tuple[str, str, Any, Any]]:
    """Return for each field its name, its name in JSON, its default, and what says whether it is left out."""
    return [
        (name, to_camel(name), field.default, field.exclude_if) for name, field in kind.model_fields.items()
    ]


def _dumped(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", by_alias=True)


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_dumped, check_circular=False)
