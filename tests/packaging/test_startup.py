"""Quick to start: the first event comes within 0.15 s of launch, nothing that costs is imported before it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Turn

RUN = ["-m", "agent_runtime", "run", "--prompt", "hi"]
LAUNCHES = 7
SECONDS = 0.15
# What any program pays that has pydantic models. On a machine too slow or too busy for the bound in seconds,
# the first event may take RATIO times as long.
BASELINE = [
    "-c",
    "from pydantic import BaseModel\nclass M(BaseModel):\n    x: int\nprint(M(x=1), flush=True)",
]
RATIO = 2.5

TOO_HEAVY = (
    *("anthropic", "openai", "httpx", "httpx2", "httpcore2", "tiktoken", "regex", "requests"),
    *("asyncio", "anyio", "jinja2", "rich", "PIL", "watchfiles", "unidiff", "yaml"),
    *("pydantic", "pydantic_core", "typing_extensions", "decimal"),
    *("sqlite3", "shutil", "tempfile", "genai_prices", "jsonschema_rs", "jsonschema", "referencing"),
)
# what a run without images, threads, terminals or servers does not use
NOT_NEEDED = {
    *(
        "anthropic",
        "openai",
        "httpx2",
        "httpcore2",
        "http",
        "certifi",
        "tiktoken",
        "regex",
        "requests",
        "PIL",
        "sqlite3",
    ),
    *("pydantic", "pydantic_core", "annotated_types"),
    *("unidiff", "watchfiles", "yaml", "rich", "pyte", "starlette", "uvicorn"),
}
MODULES = 525  # of a whole run without tools; some 495 in November 2026
CPU_RATIO = 2.6  # of such a run, to a program that has one pydantic model; some 2.0 in November 2026


def first_line(arguments: Sequence[str], environment: Mapping[str, str], cwd: Path) -> tuple[float, bytes]:
    """Seconds until the first line of stdout, and the line."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-I", *arguments],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
        process.kill()  # no tool has run: nothing is left behind
    return took, line


def imported(log: str) -> set[str]:
    """The modules that `-X importtime` named."""
    return set(re.findall(r"^import time:.*\| +(\S+)$", log, re.MULTILINE))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "app.py").write_text("print('hi')\n")
    return folder


@pytest.mark.timed
@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "openai-chat"])
def test_the_first_event_is_quick(format: str, environment: dict[str, str], workspace: Path) -> None:
    with ModelServer([Turn(text="hi")], repeat_last=True) as server:
        environment |= server.environ(format)  # type: ignore[arg-type]
        firsts, baselines = [], []
        for _ in range(LAUNCHES):  # alternately, so that a busy moment of the machine affects both
            took, line = first_line(RUN, environment, workspace)
            assert b'"type":"start"' in line.replace(b" ", b""), line
            firsts.append(took)
            baselines.append(first_line(BASELINE, environment, workspace)[0])
    assert min(firsts) < max(SECONDS, RATIO * min(baselines)), (firsts, baselines)


def test_nothing_heavy_is_imported_before_the_first_event(
    environment: dict[str, str], workspace: Path
) -> None:
    # stdout and stderr are one pipe here, so that modules imported before the first event are listed before it.
    with ModelServer([Turn(text="hi")]) as server:
        done = subprocess.run(
            [sys.executable, "-I", "-X", "importtime", *RUN],
            cwd=workspace,
            env=environment | server.environ("anthropic"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    before, found, after = done.stdout.partition('"type":"start"')
    assert found, done.stdout[-2000:]
    assert "agent_runtime.protocol.events" in imported(before)
    assert sorted(imported(before) & set(TOO_HEAVY)) == []
    assert imported(after) & {"jsonschema_rs", "mcp"} == set()  # no schema, no servers
    whole = imported(done.stdout)
    assert [
        name
        for name in whole
        if re.match(r"(mcp|mcp_types|agent_runtime\.mcp|jsonschema|jsonschema_rs)(\.|$)", name)
    ] == []
    # the call is made without an SDK, and without certificates: the URL is http
    assert sorted(imported(after) & NOT_NEEDED) == []
    assert len(imported(done.stdout)) < MODULES


def cpu(arguments: Sequence[str], environment: Mapping[str, str], cwd: Path) -> float:
    """CPU seconds of a program."""
    with subprocess.Popen(
        [sys.executable, "-I", *arguments],
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "openai-chat"])
def test_a_run_takes_little_cpu_time(format: str, environment: dict[str, str], workspace: Path) -> None:
    with ModelServer([Turn(text="hi")], repeat_last=True) as server:
        environment |= server.environ(format)  # type: ignore[arg-type]
        pairs = [
            (cpu(RUN, environment, workspace), cpu(BASELINE, environment, workspace)) for _ in range(LAUNCHES)
        ]
    runs, baselines = zip(*pairs, strict=True)
    assert min(runs) < CPU_RATIO * min(baselines), pairs
