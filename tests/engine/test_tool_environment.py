"""What is refused, and decided, about the environment of the tools before the first event."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from agent_runtime.engine.run_config import RunConfig, prepare
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import Request

ENVIRON = {"ANTHROPIC_API_KEY": "sk-0123456789", "PATH": "/usr/bin:/bin"}


def config(workspace: Path, **fields: object) -> RunConfig:
    return prepare(Request.model_validate({"prompt": "x", "workspace": str(workspace), **fields}), ENVIRON)


@pytest.mark.parametrize(
    ("env", "field", "expected"),
    [
        ({"BIG": "x" * 131_072}, "env.BIG", "131,067 bytes"),
        ({"BIG": "é" * 65_536}, "env.BIG", "bytes"),
        ({f"V{n}": "x" * 130_000 for n in range(60)}, "env", "bytes less"),
        ({"PATH": "/opt/x/bin:$PATH"}, "env.PATH", "not expanded"),
        ({"PATH": "${PATH}"}, "env.PATH", "bash"),
        ({"PATH": ""}, "env.PATH", "bash"),
        ({"PATH": "/nonexistent"}, "env.PATH", "bash"),
    ],
)
def test_an_environment_that_prevents_every_start_is_refused(
    env: dict[str, str], field: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as refused:
        config(tmp_path, env=env)
    assert (refused.value.field, expected in str(refused.value)) == (field, True)


@pytest.mark.parametrize(
    "env", [{"BIG": "x" * 131_067}, {"PATH": "/nonexistent:/bin"}, {"A": "", "B": "$PATH"}]
)
def test_an_environment_that_execve_accepts_is_accepted(env: dict[str, str], tmp_path: Path) -> None:
    config(tmp_path, env=env)
    subprocess.run(["/bin/sh", "-c", ":"], env=env, check=True)


def test_confined_tools_may_write_to_tmp_wherever_tmpdir_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    roots = config(tmp_path, confine=True).roots
    assert roots is not None and {tmp_path, tmp_path / "t", Path("/tmp")} <= set(roots)
