"""A workspace is untrusted: modules in it named like ours, or like a library's, are never imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = (
    *("json", "os", "re", "io", "typing", "signal", "subprocess", "select", "socket", "enum", "dataclasses"),
    *("anyio", "asyncio", "pydantic", "anthropic", "openai", "tiktoken", "jinja2", "yaml", "rich", "httpx2"),
    *("__future__", "sitecustomize", "usercustomize", "runpy", "site", "encodings", "argparse", "_hostile"),
)
PACKAGES = ("agent_runtime", "tools", "prompts")
LAUNCHES = {
    "console script": [str(Path(sys.executable).with_name("agent-runtime"))],
    "python -m": [sys.executable, "-m", "agent_runtime"],
    "python -I -m": [sys.executable, "-I", "-m", "agent_runtime"],
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Each module leaves its name behind when it is imported."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    trap = f"open({str(tmp_path / 'imported')!r}, 'a').write(__name__ + '\\n')\nraise SystemExit('hostile')\n"
    for name in NAMES:
        (workspace / f"{name}.py").write_text(trap)
    for package in PACKAGES:
        (workspace / package).mkdir()
        (workspace / package / "__init__.py").write_text(trap)
        (workspace / package / "__main__.py").write_text(trap)
    return workspace


def launch(how: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))}
    command = [*LAUNCHES[how], *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


def imported(hostile: Path) -> str:
    marker = hostile.parent / "imported"
    return marker.read_text() if marker.exists() else ""


@pytest.mark.parametrize("how", LAUNCHES)
def test_the_runtime_imports_nothing_from_a_hostile_workspace(how: str, hostile: Path) -> None:
    if how == "python -m":  # Python looks here for the package before any of our code runs, hence -I
        shutil.rmtree(hostile / "agent_runtime")
    done = launch(how, "schema", "event", cwd=hostile)
    assert (done.returncode, imported(hostile)) == (0, ""), done.stderr
    assert json.loads(done.stdout)["discriminator"]["propertyName"] == "type"


def test_a_run_imports_nothing_from_a_hostile_workspace(hostile: Path) -> None:
    done = launch("python -I -m", "run", "--prompt", "hi", "--model", "nonesuch:model", cwd=hostile)
    assert imported(hostile) == ""
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["type"], last["status"], done.returncode) == ("complete", "failed", 2)


def test_the_demo_replays_in_a_hostile_workspace(hostile: Path) -> None:
    done = launch("python -I -m", "demo", cwd=hostile)
    assert (done.returncode, imported(hostile)) == (0, ""), done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "completed"
