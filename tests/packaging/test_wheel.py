"""What a built wheel puts where, and that the sdist builds the same one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from .conftest import Built

pytestmark = pytest.mark.long


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_nothing_beside_it(built: Built) -> None:
    tops = {name.split("/")[0] for name in contents(built.wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"agent_runtime"}
    assert len(tops) == 2


def test_the_wheel_holds_every_module_tool_prompt_and_data_file(built: Built) -> None:
    kinds = {".py", ".md", ".tiktoken", ".ndjson", ".html", ".lark", ".json", ".typed", ".js", ".css"}
    wanted = {}
    for folder in ("agent_runtime", "tools", "prompts"):
        for path in (built.tree / folder).rglob("*"):
            if path.is_file() and (path.suffix in kinds or path.name == "py.typed"):
                relative = path.relative_to(built.tree).as_posix()
                inside = relative if folder == "agent_runtime" else f"agent_runtime/{relative}"
                wanted[inside] = path.read_bytes()
    held = contents(built.wheel)
    assert {name: held.get(name) for name in wanted} == wanted
    assert {name for name in held if name.endswith(".py")} == {
        name for name in wanted if name.endswith(".py")
    }
    for expected in ("py.typed", "tools/__init__.py", "data/o200k_base.tiktoken"):
        assert f"agent_runtime/{expected}" in wanted


def test_the_sdist_builds_the_same_wheel(built: Built) -> None:
    assert contents(built.wheel) == contents(built.direct)


def test_the_wheel_installs_one_command(built: Built) -> None:
    [entry_points] = [
        body for name, body in contents(built.wheel).items() if name.endswith("entry_points.txt")
    ]
    parser = ConfigParser()
    parser.read_string(entry_points.decode())
    assert dict(parser["console_scripts"]) == {"agent-runtime": "agent_runtime.__main__:main"}


def test_an_installed_wheel_finds_its_tools_and_prompts(built: Built, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import agent_runtime.tools as t, json;"
        "print(json.dumps([t.__file__, {n: len(t.prompt(n)) for n in t.names()}]))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(site / "agent_runtime" / "tools") in done.stdout
