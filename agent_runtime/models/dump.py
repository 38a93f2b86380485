"""The JSON object of a light model."""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from typing import Any

from agent_runtime.models.checks import Doubt

_SCALARS = frozenset((str, int, bool, type(None)))
_MAX_DEPTH = 200  # pydantic refuses more than about 250 levels; a model counts as one or two


class Dump:
    """One dump, with the options of `model_dump`; see pydantic."""

    def __init__(self, *, json: bool, by_alias: bool, exclude_none: bool, exclude_defaults: bool) -> None:
        self._json, self._by_alias = json, by_alias
        self._exclude_none, self._exclude_defaults = exclude_none, exclude_defaults

    def model(self, instance: Any, depth: int, is_left_out: Callable[[str], bool] | None) -> dict[str, Any]:
        """Return the object. Raises Doubt for values that only pydantic can serialize."""
        fields = type(instance)._fields()
        found: dict[str, Any] = {}
        for name, value in instance.__dict__.items():
            field = fields.get(name)
            if field is None:
                raise Doubt
            if is_left_out and is_left_out(name):
                continue
            if self._exclude_none and value is None:
                continue
            if field.exclude_if and field.exclude_if(value):
                continue
            if self._exclude_defaults and not field.is_required and value == field.default_value():
                continue
            found[field.alias if self._by_alias else name] = self._value(value, depth + 1)
        return found

    def _value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if depth > _MAX_DEPTH:
            raise Doubt
        if kind is dict:
            return {_key(key): self._value(item, depth + 1) for key, item in value.items()}
        if kind is list or (kind is tuple and self._json):
            return [self._value(item, depth + 1) for item in value]
        if kind is tuple:
            return tuple([self._value(item, depth + 1) for item in value])
        if kind is float and math.isfinite(value):
            return value
        if hasattr(kind, "_fields") and hasattr(kind, "_accept"):
            return self.model(value, depth, None)
        raise Doubt


def _key(key: Any) -> str:
    if type(key) is not str:
        raise Doubt
    return key


def left_out(include: Any, exclude: Any) -> Callable[[str], bool] | None:
    """Return whether a field is left out, as a function. Raises Doubt where the options name more than fields."""
    for names in (include, exclude):
        if not (names is None or (isinstance(names, Set) and all(isinstance(name, str) for name in names))):
            raise Doubt
    if include is None and not exclude:
        return None
    return lambda name: (include is not None and name not in include) or bool(exclude and name in exclude)
