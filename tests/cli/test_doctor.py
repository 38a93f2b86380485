"""`doctor` says what a run would miss, and what to do about it."""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.runtime import COMMAND, environment
from tests.support.commands import command


def doctor(environ: Mapping[str, str], home: Path) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Exit status, what was found by name (its status, and the fact), and the whole output."""
    done = command("doctor", state=home, environ=environ)
    assert done.stderr == ""
    lines = re.findall(r"^(ok|note|MISSING) +([^:]+): (.*)$", done.stdout, re.MULTILINE)
    return done.returncode, {name: (status, fact) for status, name, fact in lines}, done.stdout


def test_doctor_succeeds_on_a_complete_machine(tmp_path: Path) -> None:
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
        ({"OPENAI_API_KEY": "k", "AGENT_RUNTIME_MODEL": "x"}, "model", "the provider of 'x' is unknown"),
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
        ({"AGENT_RUNTIME_MODEL": "vertex:claude-x"}, "model", "the region of the models at Vertex AI"),
        (
            {"AGENT_RUNTIME_MODEL": "bedrock:x", "AWS_REGION": "r", "AWS_EC2_METADATA_DISABLED": "true"},
            "credentials",
            "no credentials of AWS were found: set AWS_BEARER_TOKEN_BEDROCK",
        ),
    ],
)
def test_doctor_names_what_is_missing(environ: dict[str, str], name: str, says: str, tmp_path: Path) -> None:
    code, found, output = doctor(environ, tmp_path)
    assert (code, found[name][0]) == (1, "MISSING")
    assert says in output
    assert output.splitlines()[-1] == f"required and missing: {name}"


def test_doctor_finds_the_credentials_of_a_cloud(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-key", "AWS_REGION": "r"}
    code, found, output = doctor({"AGENT_RUNTIME_MODEL": "bedrock:x"} | keys, tmp_path)
    assert (code, found["credentials"]) == (0, ("ok", "of bedrock:x: found"))
    assert "a-secret-key" not in output


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENAI_API_KEY_FD": "9"},
        {"AGENT_RUNTIME_MODEL": "ollama:qwen3"},
        {"AGENT_RUNTIME_MODEL": "xai:grok-4", "XAI_API_KEY": "k"},
    ],
)
def test_doctor_accepts_every_form_of_key(environ: dict[str, str], tmp_path: Path) -> None:
    assert doctor(environ, tmp_path)[0] == 0


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """A port where every connection is given `answer` after its first bytes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("scheme", "answer", "says"),
    [
        ("http", b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answers"),
        (
            "http",
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "answers",
        ),
        ("https", b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "the TLS handshake fails"),
        ("http", b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        ("http", b"", "no connection"),
    ],
)
def test_a_base_url_is_tried_by_a_real_request(scheme: str, answer: bytes, says: str, tmp_path: Path) -> None:
    with listening(answer) as port:
        environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"{scheme}://127.0.0.1:{port}/v1"}
        code, found, _ = doctor(environ, tmp_path)
    status, fact = found["OPENAI_BASE_URL"]
    assert says in fact
    assert (code, status) == ((0, "ok") if says == "answers" else (1, "MISSING"))


def test_a_base_url_that_refuses_is_missing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        code, found, _ = doctor({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url}, tmp_path)
    assert (code, found["OPENAI_BASE_URL"]) == (1, ("MISSING", f"{url}: no connection ({os.strerror(111)})"))


def test_json_has_every_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "doctor", "--json"], capture_output=True, env=environment({}, tmp_path), check=False
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["ready"], report["missing"]) == (1, False, ["keys"])
    assert all(set(row) == {"name", "status", "required", "fact", "advice"} for row in report["checks"])
    assert all(row["advice"] for row in report["checks"] if row["status"] == "missing")
