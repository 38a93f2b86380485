"""The layers hold: each row imports only from rows above it. `TYPE_CHECKING` imports are no imports.

1 words         errors, messages, events, request, limits
2 seams         provider, tool
3 hands         sandbox/, tracking/, providers/, transcript, history, ...
4 tools         tools/*
5 loop          loop: the words and the seams only
6 composition   run, cli, standby, report, ...
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PACKAGE = "agent_runtime"

ROOMS = {
    "words": "errors messages envelope progress events request limits version",
    "seams": "provider tool",
    "hands": """
        sandbox tracking providers prompting frontmatter template stream secrets keys control clock signals
        history pairing native images intake tokens compaction record transcript* thread*
        """,
    "tools": "tools",
    "loop": "loop executor",
    "composition": """
        run life past conversation assembly parts modelling plan launch narration observer outcome replay* demo
        cli __main__ standby warmup handover report schema doctor pretty diffview
        """,
}
MAY_IMPORT: dict[str, set[str]] = {
    "words": {"words"},
    "seams": {"words", "seams"},
    "hands": {"words", "seams", "hands"},
    "tools": {"words", "seams", "hands", "tools"},
    "loop": {"words", "seams", "loop"},
    "composition": {"words", "seams", "hands", "tools", "loop", "composition"},
}


def row_of(module: str) -> str:
    """The row of a room: the first name below the package."""
    room = module.split(".")[0]
    rows = [row for row, rooms in ROOMS.items() if any(fnmatch(room, name) for name in rooms.split())]
    assert rows, f"{room} is in no row: say in tests/packaging/test_layers.py where it belongs"
    return rows[0]


def sources() -> list[Path]:
    """Every module but the package's own `__init__`, which imports nothing."""
    found = [path for path in (REPO / PACKAGE).rglob("*.py") if "tools" not in path.relative_to(REPO).parts]
    return sorted(found) + sorted((REPO / "tools").rglob("*.py"))


def module_of(path: Path) -> str:
    """The dotted name below the package: `sandbox.shell`, `tools.bash`."""
    relative = path.relative_to(REPO).with_suffix("")
    parts = relative.parts[1:] if relative.parts[0] == PACKAGE else relative.parts
    return ".".join(part for part in parts if part != "__init__")


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Every import that runs, at any depth: line and absolute dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                yield from imports(ast.Module([child], []), module, is_package)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = [PACKAGE, *module.split(".")]
                kept = parents[: len(parents) - node.level + is_package]
                base = ".".join([*kept, base]).rstrip(".")
            if base == PACKAGE:
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base
        else:
            yield from imports(node, module, is_package)


def own_imports(source: str, module: str, is_package: bool = False) -> list[tuple[int, str]]:
    """The imports of this project's modules: line and name below the package."""
    found = imports(ast.parse(source), module, is_package)
    return [
        (line, name.removeprefix(f"{PACKAGE}.")) for line, name in found if name.startswith(f"{PACKAGE}.")
    ]


def breaches(source: str, module: str, is_package: bool = False) -> list[str]:
    row = row_of(module)
    return [
        f"{module}:{line} ({row}) imports {name} ({row_of(name)})"
        for line, name in own_imports(source, module, is_package)
        if row_of(name) not in MAY_IMPORT[row]
    ]


def test_each_row_imports_only_from_the_rows_above() -> None:
    found = [
        breach
        for path in sources()
        if module_of(path)
        for breach in breaches(path.read_text("utf-8"), module_of(path), path.name == "__init__.py")
    ]
    assert found == []


def test_the_package_itself_imports_nothing() -> None:
    tree = ast.parse((REPO / PACKAGE / "__init__.py").read_text("utf-8"))
    found = {name for _, name in imports(tree, "", True)}
    assert found <= {"__future__"}


def test_words_know_nothing_of_io() -> None:
    heavy = {
        "os",
        "io",
        "socket",
        "subprocess",
        "asyncio",
        "anyio",
        "shutil",
        "tempfile",
        "threading",
        "signal",
    }
    for path in sources():
        module = module_of(path)
        if module and row_of(module) == "words":
            found = {
                name.split(".")[0] for _, name in imports(ast.parse(path.read_text("utf-8")), module, False)
            }
            assert found & heavy == set(), module
            assert found - set(sys.stdlib_module_names) <= {
                "pydantic",
                "pydantic_core",
                "typing_extensions",
                PACKAGE,
            }


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    found = {
        name.split(".")[0]
        for path in sources()
        for _, name in imports(
            ast.parse(path.read_text("utf-8")), module_of(path), path.name == "__init__.py"
        )
    }
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in project["dependencies"]}  # type: ignore[index]
    named = {"PIL": "pillow", "yaml": "pyyaml"}
    libraries = found - set(sys.stdlib_module_names) - {PACKAGE}
    assert {named.get(name, name) for name in libraries} == declared


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("loop", "from agent_runtime.tool import Tool", []),
        ("loop", "import agent_runtime.errors", []),
        (
            "loop",
            "def f():\n    from agent_runtime.providers.retry import Resilient",
            ["loop:2 (loop) imports providers.retry (hands)"],
        ),
        ("loop", "if TYPE_CHECKING:\n    from agent_runtime.run import Run", []),
        (
            "sandbox.shell",
            "from agent_runtime import cli",
            ["sandbox.shell:1 (hands) imports cli (composition)"],
        ),
        ("tools.bash", "from ..run import Run", ["tools.bash:1 (tools) imports run (composition)"]),
        ("errors", "from agent_runtime.tool import Tool", ["errors:1 (words) imports tool (seams)"]),
    ],
)
def test_the_rule_sees_what_it_must(module: str, source: str, expected: list[str]) -> None:
    assert breaches(source, module) == expected
