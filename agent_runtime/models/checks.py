"""Checks of values that are certainly valid. A check returns the value as a model stores it, or raises Doubt."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

Check = Callable[[Any], Any]

_EXACT = 2**53  # integers below are exact as floats


class Doubt(Exception):
    """Only pydantic can decide whether the value is valid."""


def check_of(annotation: Any, config: Mapping[str, Any]) -> Check:
    """Return the check for a type."""
    if annotation is Any:
        return _anything
    if annotation is float:
        return _number
    if annotation is str:
        return _text
    if annotation in (None, type(None), int, bool):
        return _exactly(type(None) if annotation is None else annotation)
    if isinstance(annotation, type) and hasattr(annotation, "_accept"):
        return _model(annotation)
    return _generic_check(get_origin(annotation), get_args(annotation), config)


def _generic_check(origin: Any, arguments: tuple[Any, ...], config: Mapping[str, Any]) -> Check:
    if origin is Annotated:
        limits: dict[str, Any] = {}
        for each in arguments[1:]:
            limits |= {name: value for name, value in each.more.items() if name in _COMPARE}
        return constrained(check_of(arguments[0], config), limits)
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments, config)
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return _items(
            check_of(arguments[0], config), tuple, (tuple,) if config.get("strict") else (tuple, list)
        )
    if origin is list:
        return _items(check_of(arguments[0], config), list, (list,))
    if origin is dict:
        return _dict(check_of(arguments[0], config), check_of(arguments[1], config))
    return never


def never(value: Any) -> Any:
    """Raise Doubt, whatever the value is."""
    raise Doubt


def _anything(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise Doubt
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Doubt from None
    return value


def _number(value: Any) -> Any:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -_EXACT < value < _EXACT:
        return float(value)
    raise Doubt


def _exactly(wanted: type) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not wanted:
            raise Doubt
        return value

    return check


def _one_of(values: Sequence[Any]) -> Check:
    known = frozenset(value for value in values if type(value) is str)

    def check(value: Any) -> Any:
        if type(value) is not str or value not in known:
            raise Doubt
        return value

    return check


def _model(model: Any) -> Check:
    def check(value: Any) -> Any:
        if type(value) is model:
            return value
        if type(value) is dict:
            return model._accept(value)
        raise Doubt

    return check


def _union(members: Sequence[Any], config: Mapping[str, Any]) -> Check:
    checks = [check_of(member, config) for member in members]
    models = [member for member in members if hasattr(member, "_accept")]
    if float in members and int in members:
        return never

    def check(value: Any) -> Any:
        if len(models) > 1 and type(value) is dict:
            raise Doubt  # several of them may be meant
        for each in checks:
            try:
                return each(value)
            except Doubt:
                continue
        raise Doubt

    return check


def _items(check_item: Check, made: type, taken: tuple[type, ...]) -> Check:
    def check(value: Any) -> Any:
        if type(value) not in taken:
            raise Doubt
        return made([check_item(item) for item in value])

    return check


def _dict(check_key: Check, check_value: Check) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise Doubt
        return {check_key(key): check_value(item) for key, item in value.items()}

    return check


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, limit: value > limit,
    "ge": lambda value, limit: value >= limit,
    "lt": lambda value, limit: value < limit,
    "le": lambda value, limit: value <= limit,
    "min_length": lambda value, limit: len(value) >= limit,
    "max_length": lambda value, limit: len(value) <= limit,
    # the two kinds of regular expressions agree on printable ASCII
    "pattern": lambda value, limit: value.isprintable() and value.isascii() and bool(re.search(limit, value)),
}


def constrained(check: Check, limits: Mapping[str, Any]) -> Check:
    """Return the check with limits of the value; None is not limited."""
    if not limits:
        return check
    rules = [(_COMPARE[name], limit) for name, limit in limits.items()]

    def check_limits(value: Any) -> Any:
        value = check(value)
        if value is None:
            return value
        for rule, limit in rules:
            try:
                if rule(value, limit):
                    continue
            except (TypeError, AttributeError):
                pass
            raise Doubt
        return value

    return check_limits
