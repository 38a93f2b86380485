"""A public function that raises says so in its docstring, with the word "Raises" (or, as its purpose, "Raise")."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
MODULES = sorted([*(REPO / "agent_runtime").glob("**/*.py"), *(REPO / "tools").glob("*.py")])

# Raised for an error in this program, never for an error in what it was given.
INTERNAL = ("AssertionError", "NotImplementedError")
# Methods that every iterator, number and context manager has; the language says what they raise.
PROTOCOL = re.compile(r"__(?!init__)\w+__")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(scope: ast.Module | ast.ClassDef, name: str = "") -> Iterator[tuple[str, Function]]:
    """The functions and methods of a module, by their qualified names; not those inside functions."""
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{name}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name + node.name, node


def body_of(node: ast.AST, caught: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """What runs when a function is called, and whether a handler around it may catch what it raises."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        handled = isinstance(node, ast.Try) and bool(node.handlers) and child in node.body
        yield child, caught or handled
        yield from body_of(child, caught or handled)


def raises_itself(function: Function) -> bool:
    return any(
        isinstance(node, ast.Raise)
        and node.exc is not None
        and not caught
        and not ast.unparse(node.exc).startswith(INTERNAL)
        for node, caught in body_of(function)
    )


def helpers(name: str, function: Function) -> set[str]:
    """The private functions and methods of its own module that a function calls outside of handlers."""
    owner = name.rpartition(".")[0]
    called = set()
    for node, caught in body_of(function):
        match node:
            case ast.Call(func=ast.Name(id=callee)) if callee.startswith("_") and not caught:
                called.add(callee)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=callee)) if not caught:
                called |= {f"{owner}.{callee}"} if callee.startswith("_") else set()
    return called


def undocumented(source: str) -> list[str]:
    """The public functions of a module that raise, themselves or through its private helpers, and do not say so."""
    found = dict(functions(ast.parse(source)))
    raising = {name for name, function in found.items() if raises_itself(function)}
    while more := {
        name for name, function in found.items() if name not in raising and helpers(name, function) & raising
    }:
        raising |= more
    return sorted(
        name
        for name in raising
        if not any(part.startswith("_") and part != "__init__" for part in name.split("."))
        and not PROTOCOL.fullmatch(name.rpartition(".")[2])
        and not re.search(r"\bRaises?\b", documentation(name, found, source))
    )


def documentation(name: str, found: dict[str, Function], source: str) -> str:
    """The docstring of a function; for a constructor, also that of its class."""
    text = ast.get_docstring(found[name]) or ""
    if name.endswith(".__init__"):
        owner = name.split(".")[-2]
        classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
        text += next(ast.get_docstring(node) or "" for node in classes if node.name == owner)
    return text


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def a():\n    raise ValueError", ["a"]),
        ("def a():\n    '''Raises ValueError.'''\n    raise ValueError", []),
        ("def a():\n    '''Raise ValueError when it is late.'''\n    raise ValueError", []),
        ("def _a():\n    raise ValueError\ndef b():\n    _a()", ["b"]),
        ("def _a():\n    raise ValueError\ndef _b():\n    _a()\nasync def c():\n    await _b()", ["c"]),
        (
            "class A:\n    def _a(self):\n        raise ValueError\n    def b(self):\n        self._a()",
            ["A.b"],
        ),
        ("class A:\n    '''Raises ValueError.'''\n    def __init__(self):\n        raise ValueError", []),
        ("class A:\n    def __init__(self):\n        raise ValueError", ["A.__init__"]),
        ("def a():\n    try:\n        raise ValueError\n    except ValueError:\n        pass", []),
        ("def a():\n    try:\n        b()\n    except ValueError:\n        raise KeyError", ["a"]),
        ("def a():\n    try:\n        b()\n    except ValueError:\n        raise", []),
        ("def a():\n    def b():\n        raise ValueError\n    return b", []),
        ("def a():\n    raise AssertionError('unreachable')", []),
    ],
)
def test_functions_that_raise_without_saying_so_are_found(source: str, names: list[str]) -> None:
    assert undocumented(source) == names


def test_public_functions_say_what_they_raise() -> None:
    assert len(MODULES) > 200
    missing = {str(path.relative_to(REPO)): undocumented(path.read_text("utf-8")) for path in MODULES}
    assert {path: names for path, names in missing.items() if names} == {}
