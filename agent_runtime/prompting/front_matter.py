"""The `name: value` lines at the head of an agent's definition. The plainest kind is read without a parser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):(?:[ \t]+(.*))?")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")
_PLAIN = re.compile(r"[A-Za-z0-9_/][^#]*")
_NUMBER = re.compile(r"0|[1-9]\d*|\d\.\d+")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})  # more than text to YAML


def split(path: Path, text: str) -> tuple[dict[str, Any], str]:
    """The fields of the front matter, where there is one, and what comes after it. Raises RequestError."""
    if not text.startswith("---\n"):
        return {}, text
    head, found, body = f"{text[3:]}\n".partition("\n---\n")
    if not found:
        raise RequestError("agent", f"{path}: the front matter has no closing `---` line")
    return front_matter(path, head), body


def front_matter(path: Path, head: str) -> dict[str, Any]:
    """The fields of a front matter. Flat YAML is read here; anything richer costs the import of a parser."""
    fields = _flat(head)
    if fields is None:
        import yaml

        try:
            fields = yaml.load(head, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise RequestError("agent", f"{path}: the front matter is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise RequestError("agent", f"{path}: the front matter must be `name: value` lines")
    return {str(key): value for key, value in fields.items()}


def _flat(head: str) -> dict[str, Any] | None:
    # YAML of the plainest kind, or None: importing a parser takes a fifth of the time to the first event
    fields: dict[str, Any] = {}
    key = ""
    for line in head.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if item := _ITEM.fullmatch(line):
            if not key or not isinstance(fields[key] or [], list):
                return None
            value = _scalar(item[1])
            if not isinstance(value, str):
                return None
            fields[key] = [*(fields[key] or []), value]
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[1] in fields:
            return None
        key = match[1]
        value = _value((match[2] or "").strip())
        if value is ...:
            return None
        fields[key] = value
    return fields


def _value(text: str) -> Any:
    if not text:
        return None
    if text.startswith("[") and text.endswith("]"):
        items = [_scalar(item.strip()) for item in text[1:-1].split(",")] if text[1:-1].strip() else []
        return items if all(isinstance(item, str) for item in items) else ...
    return _scalar(text)


def _scalar(text: str) -> Any:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and not re.search(r"[\\'\"]", text[1:-1]):
        return text[1:-1]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    odd = ": " in text or text.endswith(":") or text.lower() in _WORDS or text[:1].isdigit()
    return text if _PLAIN.fullmatch(text) and not odd else ...


class Check:
    """A front matter's values, checked; every complaint is a RequestError that names the file and the field."""

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self._path = path
        self._fields = fields

    def _wrong(self, field: str, expected: str) -> RequestError:
        return RequestError("agent", f"{self._path}: `{field}`: {expected}, not {self._fields[field]!r:.80}")

    def text(self, field: str) -> str | None:
        """A text."""
        value = self._fields.get(field)
        if value is not None and not isinstance(value, str):
            raise self._wrong(field, "text is expected")
        return value

    def names(self, field: str) -> tuple[str, ...] | None:
        """A list of names, or a text with commas between them."""
        value = self._fields.get(field)
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            raise self._wrong(field, "a list of names is expected")
        return tuple(value)

    def model(self) -> str | tuple[str, ...] | None:
        """A model, or a list of them."""
        value = self._fields.get("model")
        return self.names("model") if isinstance(value, list) else self.text("model")

    def count(self, field: str) -> int | None:
        """A whole number of at least 1."""
        value = self._fields.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise self._wrong(field, "a whole number of at least 1 is expected")
        return value

    def temperature(self) -> float | None:
        """From 0 to 2."""
        value = self._fields.get("temperature")
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 2:
            raise self._wrong("temperature", "a number from 0 to 2 is expected")
        return float(value)
