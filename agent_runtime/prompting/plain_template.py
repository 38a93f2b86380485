"""Renders templates that use only plain parts of jinja2's language, as jinja2 does.

Most prompts are such templates, and jinja2 takes 20 ms to import and 10 ms to compile one. These parts are:
`{{ name }}`, `{{ name | join("text") }}`, `{{ name | json }}`, `{% if %}` with a name or a test for a text in a list,
`{% for %}`, `{% include %}`, where a name may have attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent_runtime.lazy import dataclass, lazy_pattern

_TAG = lazy_pattern(r"\{\{(.*?)\}\}|\{%(.*?)%\}|\{#", re.DOTALL)
_PRINT = lazy_pattern(r'([A-Za-z_][\w.]*)(?: *\| *(json|join\("([^"\\]*)"\)))?')
_IF = lazy_pattern(r'if (?:(not )?([A-Za-z_][\w.]*)|"([^"\\]*)" (not )?in ([A-Za-z_][\w.]*))')
_FOR = lazy_pattern(r"for ([A-Za-z_]\w*) in ([A-Za-z_][\w.]*)")
_INCLUDE = lazy_pattern(r'include "([\w.-]+)"')
_RESERVED = frozenset(
    (
        *("and", "or", "not", "is", "in", "if", "else", "loop", "self"),
        *("true", "false", "none", "True", "False", "None"),
    )
)

Variables = Mapping[str, Any]


class NotPlain(Exception):
    """The template uses more of the language, or a value that is not there: jinja2 renders it, or reports the error."""


def render_plain(source: str, variables: Variables, load: Callable[[str], str]) -> str:
    """Return the rendered template, with jinja2's `trim_blocks` and `lstrip_blocks`.

    Args:
        source: the template.
        variables: plain data.
        load: returns the source of an included template.

    Raises:
        NotPlain: this function cannot render it.
    """
    tokens = list(_tokens(source))
    nodes, rest = _parse(tokens, 0, ())
    if rest != len(tokens):
        raise NotPlain
    return "".join(_rendered(nodes, dict(variables), load))


@dataclass(frozen=True)
class _Node:
    """A part of a template: `kind` is text, print, if, for or include."""

    kind: str
    text: str
    body: tuple[_Node, ...] = ()
    otherwise: tuple[_Node, ...] = ()


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    """Yield the texts and tags, as `(kind, content)`, without the white space around tags that jinja2 removes."""
    if "\r" in source:
        raise NotPlain
    source = source.removesuffix("\n")
    at, at_line_start = 0, True
    for tag in _TAG.finditer(source):
        printed, block = tag[1], tag[2]
        if tag[0] == "{#" or (printed or block or "").strip()[:1] in ("-", "+") or tag[0][-3] in "-+":
            raise NotPlain
        text = _text(source[at : tag.start()])
        at = tag.end()
        if block is None:
            at_line_start = False
            yield from (("text", text), ("print", printed.strip()))
            continue
        line = text.rfind("\n") + 1
        if (line or at_line_start) and not text[line:].strip(" \t"):
            text = text[:line]
        yield from (("text", text), ("block", block.strip()))
        at_line_start = source[at : at + 1] == "\n"
        at += at_line_start
    yield "text", _text(source[at:])


def _text(text: str) -> str:
    if "{{" in text or "{%" in text:
        raise NotPlain  # a tag without its end
    return text


def _parse(tokens: list[tuple[str, str]], at: int, ends: tuple[str, ...]) -> tuple[tuple[_Node, ...], int]:
    """Return the nodes from a token on, and the number of the token in `ends` that ends them."""
    nodes: list[_Node] = []
    while at < len(tokens):
        kind, content = tokens[at]
        if kind == "block" and content in ends:
            return tuple(nodes), at
        if kind == "block" and content.startswith("if "):
            body, at = _parse(tokens, at + 1, ("else", "endif"))
            otherwise: tuple[_Node, ...] = ()
            if _at(tokens, at) == "else":
                otherwise, at = _parse(tokens, at + 1, ("endif",))
            nodes.append(_Node("if", content, body, otherwise))
        elif kind == "block" and content.startswith("for "):
            body, at = _parse(tokens, at + 1, ("endfor",))
            nodes.append(_Node("for", content, body))
        elif kind == "block" and content.startswith("include "):
            nodes.append(_Node("include", content))
        elif kind == "block":
            raise NotPlain
        else:
            nodes.append(_Node(kind, content))
        at += 1
    if ends:
        raise NotPlain  # a block without its end
    return tuple(nodes), at


def _at(tokens: list[tuple[str, str]], at: int) -> str:
    return tokens[at][1] if at < len(tokens) else ""


def _rendered(
    nodes: tuple[_Node, ...], variables: dict[str, Any], load: Callable[[str], str]
) -> Iterator[str]:
    for node in nodes:
        if node.kind == "text":
            yield node.text
        elif node.kind == "print":
            yield _printed(node.text, variables)
        elif node.kind == "if":
            yield from _rendered(
                node.body if _holds(node.text, variables) else node.otherwise, variables, load
            )
        elif node.kind == "for":
            name, items = _match(_FOR, node.text).groups()
            for item in _list(items, variables):
                yield from _rendered(node.body, variables | {name: item}, load)
        else:
            yield render_plain(load(_match(_INCLUDE, node.text)[1]), variables, load)


def _printed(expression: str, variables: Variables) -> str:
    name, filter, separator = _match(_PRINT, expression).groups()
    if filter == "json":
        return as_json(_value(name, variables))
    if filter:
        return str(separator).join(_texts(name, variables))
    value = _value(name, variables)
    if not isinstance(value, str):
        raise NotPlain
    return value


def _holds(condition: str, variables: Variables) -> bool:
    negated, name, text, not_in, names = _match(_IF, condition).groups()
    if name:
        return bool(_value(name, variables)) is not bool(negated)
    return (text in _texts(names, variables)) is not bool(not_in)


def _match(pattern: Any, text: str) -> Any:
    if match := pattern.fullmatch(text):
        return match
    raise NotPlain


def _list(name: str, variables: Variables) -> list[Any]:
    value = _value(name, variables)
    if not isinstance(value, list):
        raise NotPlain
    return value


def _texts(name: str, variables: Variables) -> list[str]:
    values = _list(name, variables)
    if not all(isinstance(value, str) for value in values):
        raise NotPlain
    return values


def _value(name: str, variables: Variables) -> Any:
    """Return the value of a name with its attributes, which are keys of objects. Raises NotPlain when there is none."""
    value: Any = variables
    for part in name.split("."):
        # jinja2 looks for methods first
        if not isinstance(value, Mapping) or part not in value or part in _RESERVED or hasattr(dict, part):
            raise NotPlain
        value = value[part]
    return value


def as_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
