"""`doctor` says what a run would miss, and what to do about it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.model_server import ModelServer
from tests.support.runtime import COMMAND, environment


def doctor(environ: Mapping[str, str], home: Path) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Exit status, what was found by name (its mark, and what was seen), and the whole output."""
    done = subprocess.run(
        [*COMMAND, "doctor"], capture_output=True, text=True, env=environment(environ, home), check=False
    )
    assert done.stderr == ""
    lines = re.findall(r"^(ok|note|MISSING) +(\S+): (.*)$", done.stdout, re.MULTILINE)
    return done.returncode, {name: (mark, fact) for mark, name, fact in lines}, done.stdout


def test_a_machine_where_all_is_well(tmp_path: Path) -> None:
    with ModelServer() as server:
        code, found, output = doctor(server.environ("anthropic"), tmp_path)
    assert (code, output.splitlines()[-1]) == (0, "ready to run")
    assert set(found) >= {"bash", "git", "rg", "keys", "inotify", "state", "tokenizer"}
    assert set(found) >= {"/proc", "cgroups", "landlock"}
    assert found["ANTHROPIC_BASE_URL"] == ("ok", f"{server.url}: answers")
    assert "sk-" not in output  # the names of keys, never their values


@pytest.mark.parametrize(
    ("environ", "name", "says"),
    [
        ({}, "keys", "export ANTHROPIC_API_KEY or OPENAI_API_KEY"),
        (
            {"OPENAI_API_KEY": "k", "AGENT_RUNTIME_MODEL": "claude-x"},
            "keys",
            "export ANTHROPIC_API_KEY: claude-x",
        ),
        ({"OPENAI_API_KEY": "k", "AGENT_RUNTIME_MODEL": "x"}, "model", "cannot tell the provider of 'x'"),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "localhost:80"},
            "OPENAI_BASE_URL",
            "begins with http://",
        ),
        (
            {"OPENAI_API_KEY": "k", "AGENT_RUNTIME_STATE_DIR": "/proc/x"},
            "state",
            "set AGENT_RUNTIME_STATE_DIR",
        ),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "ftp://me:hunter22@h"},
            "OPENAI_BASE_URL",
            "ftp://me:[secret]@h",
        ),
        ({"OPENAI_API_KEY": "k", "PATH": "/nonexistent"}, "bash", "install bash"),
    ],
)
def test_what_is_missing(environ: dict[str, str], name: str, says: str, tmp_path: Path) -> None:
    code, found, output = doctor(environ, tmp_path)
    assert (code, found[name][0]) == (1, "MISSING")
    assert says in output
    assert output.splitlines()[-1] == f"required and missing: {name}"


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENAI_API_KEY_FD": "9"},
        {"AGENT_RUNTIME_MODEL": "ollama:qwen3"},
        {"AGENT_RUNTIME_MODEL": "xai:grok-4", "XAI_API_KEY": "k"},
    ],
)
def test_keys_that_are_enough(environ: dict[str, str], tmp_path: Path) -> None:
    assert doctor(environ, tmp_path)[0] == 0


def test_an_address_where_nobody_answers_is_told_and_no_hindrance(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        code, found, _ = doctor({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url}, tmp_path)
    assert (code, found["OPENAI_BASE_URL"]) == (0, ("note", f"{url}: no connection ({os.strerror(111)})"))
