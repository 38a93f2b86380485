"""Every test can fail: it asserts something itself, or calls a helper that does; and no assertion is always true."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
FILES = sorted([*(REPO / "tests").glob("**/*.py"), *(REPO / "agent_runtime" / "testing").glob("*.py")])

# Calls that fail by themselves when the condition they wait for, or the process they run, does.
FAILING = {"raises", "fail", "until", "until_async", "importorskip", "event", "compile"}


def name_of(function: ast.expr) -> str:
    match function:
        case ast.Attribute(value=ast.Name(id="subprocess" | "anyio" | "json" | "os")):
            return ""
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def calls(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def asserts(node: ast.AST) -> bool:
    """Return whether a function contains an assertion, or a call that fails by itself."""
    if any(isinstance(each, ast.Assert) for each in ast.walk(node)):
        return True
    return any(
        name_of(call.func) in FAILING
        or ast.unparse(call.func) == "anyio.fail_after"
        or "check=True" in [ast.unparse(word) for word in call.keywords]
        for call in calls(node)
    )


@cache
def functions() -> dict[str, list[ast.AST]]:
    """All functions of the tests and of the test kit, by their names."""
    found: dict[str, list[ast.AST]] = defaultdict(list)
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[node.name].append(node)
    return found


@cache
def asserting() -> set[str]:
    """The names of functions that assert something, themselves or through others."""
    found = {name for name, nodes in functions().items() if any(map(asserts, nodes))}
    while more := {
        name
        for name, nodes in functions().items()
        if name not in found and any(name_of(call.func) in found for node in nodes for call in calls(node))
    }:
        found |= more
    return found


def always_true(test: ast.expr) -> bool:
    """Return whether a condition is a tuple or a constant, or has one as an alternative."""
    match test:
        case ast.Tuple(elts=[_, *_]):
            return True
        case ast.Constant(value=value):
            return bool(value)
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(always_true, values))
    return False


def test_every_test_asserts_something() -> None:
    tests = [name for name in functions() if name.startswith("test_")]
    assert len(tests) > 1000
    assert [name for name in tests if name not in asserting()] == []


def test_no_assertion_is_always_true() -> None:
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Assert) and always_true(node.test):
                found.append(f"{path.relative_to(REPO)}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("(x == 1, 'x is one')", True),
        ("x == 1 or True", True),
        ("x == 1 or (y, z)", True),
        ("1", True),
        ("x == 1 or y", False),
        ("()", False),
        ("(x, y) == (1, 2)", False),
    ],
)
def test_conditions_that_are_always_true_are_found(condition: str, expected: bool) -> None:
    assert always_true(ast.parse(condition, mode="eval").body) is expected
