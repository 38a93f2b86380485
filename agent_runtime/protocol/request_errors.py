"""Error messages for invalid requests: the field, what was expected, and the value that was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent_runtime.errors import RequestError

if TYPE_CHECKING:
    from pydantic import ValidationError

MODEL = (
    'expected "provider:name", or {"provider": "custom", "endpoint": "https://...", "apiKey": "...", '
    '"format": "openai", "openai-responses" or "anthropic", "name": "..."}, or a list of these'
)
URL = "expected an http(s) URL"
_MAY_BE_SECRET = frozenset({"env", "headers", "args", "url"})  # fields whose values are not quoted
_MOST_NAMED = 5  # unknown fields that are named in an error
_LONGEST = 60  # characters of a value that are quoted
_NUMBERS = ("an integer", "a number")

Context = Mapping[str, Any]

# pydantic's error types: https://docs.pydantic.dev/latest/errors/validation_errors/
_EXPECTED: dict[str, Callable[[Context], str]] = {
    "missing": lambda ctx: "required",
    "int_type": lambda ctx: "expected an integer",
    "int_parsing": lambda ctx: "expected an integer",
    "int_from_float": lambda ctx: "expected an integer",
    "float_type": lambda ctx: "expected a number",
    "float_parsing": lambda ctx: "expected a number",
    "finite_number": lambda ctx: "expected a finite number",
    "string_type": lambda ctx: "expected a string",
    "bool_type": lambda ctx: "expected true or false",
    "bool_parsing": lambda ctx: "expected true or false",
    "dict_type": lambda ctx: "expected an object",
    "model_type": lambda ctx: "expected an object",
    "model_attributes_type": lambda ctx: "expected an object",
    "list_type": lambda ctx: "expected an array",
    "literal_error": lambda ctx: f"expected {ctx['expected']}",
    "greater_than": lambda ctx: f"expected a number above {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"expected a number of at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"expected a number below {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"expected a number of at most {ctx['le']:g}",
    "string_too_short": lambda ctx: "expected a non-empty string",
    "string_too_long": lambda ctx: f"expected at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda ctx: f"expected a string that matches {ctx['pattern']}",
}


def request_error(error: ValidationError, patterns: Mapping[str, str]) -> RequestError:
    """Return the first error of a request as a RequestError.

    Args:
        error: the error that pydantic raised.
        patterns: descriptions of the regular expressions of the models, by pattern.
    """
    errors = error.errors(include_url=False)
    if "model" in {item["loc"][0] for item in errors if item["loc"]}:
        return _model_error(errors)
    first = errors[0]
    field = path(first["loc"])
    context = first.get("ctx", {})
    if first["type"] == "value_error":
        raised = context["error"]
        return raised if isinstance(raised, RequestError) else RequestError(field, str(raised))
    expected = patterns.get(context.get("pattern", "")) or _expected(first["type"], context, first["msg"])
    if first["type"] == "missing":
        return RequestError(field, expected)
    secret = not _MAY_BE_SECRET.isdisjoint(map(str, first["loc"]))
    return RequestError(field, f"{expected}, got {given(first.get('input'), secret=secret)}")


def with_hint(error: RequestError, unknown: Sequence[str]) -> RequestError:
    """Return the error of a missing field with the unknown fields of the request, one of which may be meant for it."""
    if not unknown or not error.problem.startswith("required"):
        return error
    names = ", ".join(unknown[:_MOST_NAMED])
    return RequestError(error.field, f"{error.problem}; unknown fields were ignored: {names}")


def path(location: tuple[int | str, ...]) -> str:
    """Return a location in the request in the usual notation: `config.maxTurns`, `tools[1]`."""
    text = ""
    for step in location:
        if step != "[key]":
            text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def given(value: object, *, secret: bool = False) -> str:
    """Describe a value: numbers and strings are quoted (strings shortened), other values are named by their type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and not secret:
        return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}...")
    return kind(value)


def kind(value: object) -> str:
    """Return the JSON type of a value, with its article."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _expected(kind: str, context: Context, message: str) -> str:
    describe = _EXPECTED.get(kind)
    return describe(context) if describe else message


def _model_error(errors: list[Any]) -> RequestError:
    # a union reports the errors of every member; only those of the object form are helpful
    inside = [item for item in errors if "CustomModel" in item["loc"] and item["loc"][-1] != "CustomModel"]
    if not inside:
        value = errors[0].get("input")
        return RequestError("model", f"{MODEL}, got {kind(value)}")
    first = inside[0]
    name = str(first["loc"][-1])
    index = "".join(f"[{step}]" for step in first["loc"] if isinstance(step, int))
    if name == "endpoint" and first["type"] == "string_pattern_mismatch":
        return RequestError(f"model{index}.endpoint", f"{URL}, got {given(first['input'])}")
    expected = _expected(first["type"], first.get("ctx", {}), first["msg"])
    value = (
        "" if first["type"] == "missing" else f", got {given(first.get('input'), secret=name == 'apiKey')}"
    )
    return RequestError(f"model{index}.{name}", f"{expected}{value}; {MODEL}")
