"""Names of fields in camelCase."""

from __future__ import annotations

from functools import cache

from agent_runtime.lazy import lazy_pattern

_CAMEL = lazy_pattern(r"^[a-z]+[A-Za-z0-9]*$")
_DIGIT_BEFORE_LETTER = lazy_pattern(r"\d[a-z]")
_JOINT = lazy_pattern(r"([0-9A-Za-z])_(?=[0-9A-Z])")
_FIRST = lazy_pattern(r"(^_*[A-Z])")


@cache
def to_camel(snake: str) -> str:
    """Return what `pydantic.alias_generators.to_camel` returns, without importing it."""
    if _CAMEL.match(snake) and not _DIGIT_BEFORE_LETTER.search(snake):
        return snake
    return _FIRST.sub(lambda m: m.group(1).lower(), _JOINT.sub(lambda m: m.group(1), snake.title()))
