"""Architecture: every import follows the order of the folders, and no module is part of an import cycle.

All imports count: those inside of functions and those under `TYPE_CHECKING` too.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PACKAGE = "agent_runtime"

# Each folder may import from itself and from the folders before it, and all of them from the modules of the root.
ORDER = [
    "protocol",
    "agent",
    "system",
    "git",
    "conversation",
    "prompting",
    "providers",
    "shell",
    "files",
    "search",
    "changes",
    "dev_servers",
    "mcp",
    "tools",
    "output",
    "transcripts",
    "importers",
    "tracing",
    "engine",
    "page",
    "server",
    "fleet",
    "api",
    "acp",
    "cli",
    "client",
    "testing",
]
ROOT = {"errors", "version", "images", "lazy", "models", "text_encoding", "__main__"}
PURE = {"protocol", "agent"}  # no I/O
IO_MODULES = set(
    ["os", "io", "socket", "subprocess", "asyncio", "shutil", "tempfile", "threading", "signal", "select"]
)


def sources() -> dict[str, Path]:
    """Every module by its name below the package: `shell.shell`, `tools.bash`."""
    found: dict[str, Path] = {}
    for folder in (REPO / PACKAGE, REPO / "tools"):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(REPO).with_suffix("").parts
            if parts[:2] == (PACKAGE, "tools") or parts == (PACKAGE, "__init__"):
                continue  # a symlink, followed by some versions of Python
            parts = parts[1:] if parts[0] == PACKAGE else parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(source: str, module: str, modules: Iterable[str], *, is_package: bool = False) -> Iterator[str]:
    """Absolute names of all that a module imports, at any depth; a name that is a module is that module."""
    known = set(modules)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = [PACKAGE, *module.split(".")]
                base = ".".join([*parents[: len(parents) - node.level + is_package], base]).rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full.removeprefix(f"{PACKAGE}.") in known else base


def graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """For each module the modules of this project that it imports."""
    return {
        module: {
            name.removeprefix(f"{PACKAGE}.")
            for name in imports(path.read_text("utf-8"), module, files, is_package=path.name == "__init__.py")
            if name.startswith(f"{PACKAGE}.")
        }
        for module, path in files.items()
    }


def out_of_order(edges: Mapping[str, set[str]]) -> list[str]:
    found = []
    for module, imported in sorted(edges.items()):
        for name in sorted(imported):
            here, there = module.split(".")[0], name.split(".")[0]
            if there in ROOT or here == "__main__":
                continue
            if here in ROOT:
                if there != "protocol":
                    found.append(f"{module} -> {name}")
            elif ORDER.index(there) > ORDER.index(here):
                found.append(f"{module} -> {name}")
    return found


def cycle(edges: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter({name: imported - {name} for name, imported in edges.items()}).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_every_import_follows_the_order_of_the_folders() -> None:
    assert out_of_order(graph(sources())) == []


def test_no_module_is_part_of_an_import_cycle() -> None:
    assert cycle(graph(sources())) == []


def test_every_folder_says_what_it_is_for() -> None:
    for folder in ORDER:
        path = REPO / ("tools" if folder == "tools" else f"{PACKAGE}/{folder}") / "__init__.py"
        if path.parent.is_dir():
            assert (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").strip(), folder


def test_the_package_itself_imports_nothing() -> None:
    tree = ast.parse((REPO / PACKAGE / "__init__.py").read_text("utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_protocol_and_agent_do_no_io() -> None:
    pure = {module: path for module, path in sources().items() if module.split(".")[0] in PURE}
    assert len(pure) > 15
    for module, path in pure.items():
        found = {name.split(".")[0] for name in imports(path.read_text("utf-8"), module, ())}
        assert found & IO_MODULES == set(), module


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    found = {
        name.split(".")[0]
        for module, path in sources().items()
        if module != "testing.plugin"  # its users have pytest
        for name in imports(path.read_text("utf-8"), module, (), is_package=path.name == "__init__.py")
    }
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [each for name, each in project["optional-dependencies"].items() if name not in ("build", "dev")]
    requirements = [*project["dependencies"], *chain.from_iterable(extras)]
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}  # type: ignore[index]
    named = {
        "opentelemetry": "opentelemetry-sdk",
        "PIL": "pillow",
        "genai_prices": "genai-prices",
        "mcp_types": "mcp",
        "acp": "agent-client-protocol",
        "azure": "azure-identity",
        "google": "google-auth",
        "nats": "nats-py",
        "jsonschema_rs": "jsonschema-rs",
    }
    libraries = found - set(sys.stdlib_module_names) - {PACKAGE}
    libraries.add("websockets")  # uvicorn imports it
    assert not libraries & {"anthropic", "openai"}  # the tests compare with them; they take 64 MB
    libraries.add("opentelemetry-exporter-otlp-proto-http")  # in the same package as the SDK
    assert {named.get(name, name) for name in libraries} == declared


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("agent.loop", "from agent_runtime.agent.tool import Tool", []),
        ("agent.loop", "import agent_runtime.errors", []),
        ("agent.loop", "def f():\n    from agent_runtime.providers.retry import X", ["providers.retry"]),
        ("agent.loop", "if TYPE_CHECKING:\n    from agent_runtime.engine.run import Run", ["engine.run"]),
        ("shell.shell", "from agent_runtime.cli import main", ["cli"]),
        ("tools.bash", "from ..engine.run import Run", ["engine.run"]),
        ("errors", "from agent_runtime.agent.tool import Tool", ["agent.tool"]),
    ],
)
def test_the_order_is_checked_for_every_kind_of_import(module: str, source: str, expected: list[str]) -> None:
    found = {name.removeprefix(f"{PACKAGE}.") for name in imports(source, module, ())}
    assert out_of_order({module: found}) == [f"{module} -> {name}" for name in expected]


def test_a_cycle_is_found() -> None:
    assert set(cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert cycle({"a": {"b"}, "b": set()}) == []
