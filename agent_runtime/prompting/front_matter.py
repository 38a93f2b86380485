"""The front matter of an agent's definition: `name: value` lines between two `---` lines.

The format is the part of YAML that front matters use, and is read without a YAML parser, whose import would take a
fifth of the time to the first event:

    name: text, `text`, "text" or 'text'; a number; true, false, null
    name: [a, b]                     a list; or one item a line, each after a dash
    name: |                          a text of several lines as they are; with `>` they are joined by spaces
    name:                            with indented `name: value` lines below it: an object

A plain text may contain colons, and goes on in indented lines. ` #` begins a comment.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.lazy import lazy_pattern

_FIELD = lazy_pattern(r"([A-Za-z_][A-Za-z0-9_-]*):(?:[ \t]+(.*))?")
_ITEM = lazy_pattern(r"[ \t]*-(?:[ \t]+(.*))?")
_COMMENT = lazy_pattern(r"(?:^|[ \t]+)#.*")
_INTEGER = lazy_pattern(r"-?(?:0|[1-9]\d*)")
_NUMBER = lazy_pattern(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_QUOTED = lazy_pattern(r"""('(?:[^']|'')*'|"(?:[^"\\]|\\.)*")(?:[ \t]*|[ \t]+#.*)""")
_LIST_ITEM = lazy_pattern(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^,\[\]{}'"\s][^,\[\]{}'"]*""")
_LIST = lazy_pattern(rf"\[(\s*(?:(?:{_LIST_ITEM.pattern})\s*(?:,\s*(?=\S)|(?=\])))*)\](?:\s*|\s+#.*)")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None}


def split(path: Path, text: str) -> tuple[dict[str, Any], str]:
    """The fields of the front matter, where there is one, and the text after it. Raises RequestError."""
    if not text.startswith("---\n"):
        return {}, text
    head, found, body = f"{text[3:]}\n".partition("\n---\n")
    if not found:
        raise RequestError("agent", f"{path}: the front matter has no closing `---` line")
    return front_matter(path, head), body


def front_matter(path: Path, head: str) -> dict[str, Any]:
    """The fields of a front matter. Raises RequestError naming the file and the line."""
    lines = head.removeprefix("\n").split("\n")
    try:
        return _fields(_Lines(lines, first=2))
    except _SyntaxError as error:
        expected = "`name: value` lines are expected in the front matter"
        raise RequestError("agent", f"{path}, line {error.line}: {expected}: {error}") from error


class _SyntaxError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class _Lines:
    """The lines that are left, and their numbers in the file."""

    def __init__(self, lines: list[str], first: int) -> None:
        self._lines = lines
        self._at = 0
        self._first = first

    @property
    def number(self) -> int:
        return self._first + self._at

    def peek(self) -> str | None:
        """The next line that says something, without comments and blank lines before it."""
        while self._at < len(self._lines) and re.fullmatch(r"[ \t]*(#.*)?", self._lines[self._at]):
            self._at += 1
        return self._lines[self._at] if self._at < len(self._lines) else None

    def take(self) -> str:
        self._at += 1
        return self._lines[self._at - 1]

    def block(self) -> list[str]:
        """The indented lines that follow, blank ones between them included, without their common indent."""
        block: list[str] = []
        while self._at < len(self._lines) and re.match(r"[ \t]|$", self._lines[self._at]):
            block.append(self.take())
        indents = [len(line) - len(line.lstrip()) for line in block if line.strip()]
        return [line[min(indents, default=0) :] for line in block]

    def wrong(self, reason: str) -> _SyntaxError:
        """The error of the line that was taken last."""
        return _SyntaxError(self.number - 1, reason)


def _fields(lines: _Lines) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    while (line := lines.peek()) is not None:
        match = _FIELD.fullmatch(lines.take())
        if match is None:
            raise lines.wrong(f"{line[:80]!r} has no name")
        if match[1] in fields:
            raise lines.wrong(f"`{match[1]}` is given twice")
        fields[match[1]] = _value((match[2] or "").strip(), lines)
    return fields


def _value(text: str, lines: _Lines) -> Any:
    if re.fullmatch(r"[|>][-+]?", text):
        return _multiline(text, lines.block())
    if not _COMMENT.sub("", text):
        return _nested(lines)
    if text[0] in "'\"[{":
        return _flow(text, lines)
    more = [_COMMENT.sub("", line).strip() for line in lines.block()]
    return _scalar(" ".join(filter(None, [_COMMENT.sub("", text).strip(), *more])))


def _multiline(style: str, block: list[str]) -> str:
    text = "\n".join(block).strip("\n")
    if style[0] == ">":
        text = re.sub(r"\n+", lambda ends: ends[0][1:] or " ", text)
    return text if style.endswith("-") or not text else text + "\n"


def _nested(lines: _Lines) -> Any:
    """What stands below a name without a value: items, an object, or nothing."""
    line = lines.peek()
    if line is not None and _ITEM.fullmatch(line):
        items: list[Any] = []
        while (line := lines.peek()) is not None and (item := _ITEM.fullmatch(line)):
            lines.take()
            items.append(_item((item[1] or "").strip(), lines))
        return items
    if line is None or not line[0].isspace():
        return None
    first = lines.number
    return _fields(_Lines(lines.block(), first))


def _item(text: str, lines: _Lines) -> Any:
    return _flow(text, lines) if text[:1] in ("'", '"', "[", "{") else _scalar(_COMMENT.sub("", text).strip())


def _flow(text: str, lines: _Lines) -> Any:
    """A quoted text, or a list in brackets."""
    if quoted := _QUOTED.fullmatch(text):
        return _unquoted(quoted[1], lines)
    found = _LIST.fullmatch(text)
    if found is None:
        raise lines.wrong(f"{text[:80]!r} is not closed, or not a list of texts and numbers")
    items = (item.strip() for item in _LIST_ITEM.findall(found[1]))
    return [_unquoted(item, lines) if item[0] in "'\"" else _scalar(item) for item in items if item]


def _unquoted(text: str, lines: _Lines) -> str:
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise lines.wrong(f"{text[:80]!r} has an unknown escape") from error


def _scalar(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


class Check:
    """Reads the fields of a front matter by type. A field that is missing is None."""

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self._path = path
        self._fields = fields

    def _wrong(self, field: str, expected: str) -> RequestError:
        return RequestError(
            "agent", f"{self._path}: `{field}`: expected {expected}, got {self._fields[field]!r:.80}"
        )

    def text(self, field: str) -> str | None:
        """Return the text of a field. Raises RequestError when it is not a text."""
        value = self._fields.get(field)
        if value is not None and not isinstance(value, str):
            raise self._wrong(field, "a text")
        return value

    def names(self, field: str) -> tuple[str, ...] | None:
        """Return the names of a list, or of a text with commas between them. Raises RequestError for anything else."""
        value = self._fields.get(field)
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            raise self._wrong(field, "a list of names")
        return tuple(value)

    def object(self, field: str) -> dict[str, Any] | None:
        """Return an object. Raises RequestError for anything else."""
        value = self._fields.get(field)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(field, "an object")
        return value

    def model(self) -> str | tuple[str, ...] | None:
        """Return a model, or a list of them. Raises RequestError for anything else."""
        value = self._fields.get("model")
        return self.names("model") if isinstance(value, list) else self.text("model")

    def count(self, field: str) -> int | None:
        """Return a whole number of at least 1. Raises RequestError for anything else."""
        value = self._fields.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise self._wrong(field, "a whole number of at least 1")
        return value

    def temperature(self) -> float | None:
        """Return the temperature, from 0 to 2. Raises RequestError for anything else."""
        value = self._fields.get("temperature")
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 2:
            raise self._wrong("temperature", "a number from 0 to 2")
        return float(value)
