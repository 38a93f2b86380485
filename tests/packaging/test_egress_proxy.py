"""Runs without a key: the example of a proxy adds it outside, in every format, over http and https."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent_runtime.protocol.messages import WireFormat
from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import environment, run
from tests.providers.cloud_servers import Server, as_frames, as_sse, chunks_of, serving
from tests.support.formats import FORMATS
from tests.support.runs import bash

REPO = Path(__file__).resolve().parents[2]
KEYS = {
    "ANTHROPIC_API_KEY": "sk-ant-outside-0123456789",
    "OPENAI_API_KEY": "sk-outside-0123456789",
    "AWS_BEARER_TOKEN_BEDROCK": "bedrock-outside-0123456789",
    "ANTHROPIC_FOUNDRY_API_KEY": "foundry-outside-0123456789",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the certificate of a local authority, and one that it has issued for loopback."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    authority = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=local-authority -keyout ca.key -out ca.pem"
    )
    request = "req -newkey rsa:2048 -nodes -subj /CN=proxy -keyout key.pem -out request.pem"
    issue = "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 2 -extfile san -CAcreateserial -out cert.pem"
    for line in (authority, request, issue):
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)
    return folder


@contextmanager
def proxy(server: ModelServer | Server, folder: Path, *options: str) -> Iterator[int]:
    names = ("ANTHROPIC_UPSTREAM", "OPENAI_UPSTREAM", "BEDROCK_UPSTREAM", "FOUNDRY_UPSTREAM")
    upstreams = dict.fromkeys(names, server.url)
    process = subprocess.Popen(
        [sys.executable, REPO / "examples/egress_proxy.py", "--port", "0", *options],
        env=environment({**KEYS, **upstreams}, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        try:
            yield int(process.stdout.readline().split()[-1])
        finally:
            process.kill()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_run_without_a_key_works(
    format: WireFormat, scheme: str, certificate: Path, workspace: Path
) -> None:
    tls = ["--cert", str(certificate / "cert.pem"), "--key", str(certificate / "key.pem")]
    with (
        ModelServer([bash("env; cat /proc/$PPID/environ"), Turn(text="done")]) as server,
        proxy(server, workspace.parent, *(tls if scheme == "https" else [])) as port,
    ):
        base = f"{scheme}://127.0.0.1:{port}"
        places = {"ANTHROPIC_BASE_URL": f"{base}/anthropic", "OPENAI_BASE_URL": f"{base}/openai/v1"}
        model = {
            "AGENT_RUNTIME_MODEL": server.environ(format)["AGENT_RUNTIME_MODEL"],
            "NO_PROXY": "127.0.0.1",
        }
        trusted = {"SSL_CERT_FILE": str(certificate / "ca.pem")} if scheme == "https" else {}
        placeholders = dict.fromkeys(KEYS, "placeholder")
        done = run({"prompt": "go"}, workspace, places | model | trusted | placeholders)
    assert (done.code, done.complete["output"], server.violations) == (0, "done", [])
    assert not any(key in json.dumps(done.events) for key in KEYS.values())
    sent = [
        {request.headers.get("x-api-key"), request.headers.get("authorization")}
        for request in server.requests
    ]
    expected = KEYS["ANTHROPIC_API_KEY"] if format == "anthropic" else f"Bearer {KEYS['OPENAI_API_KEY']}"
    assert all(expected in headers for headers in sent)
    assert not any("placeholder" in str(headers) for headers in sent)


@pytest.mark.parametrize("cloud", ["bedrock", "foundry"])
def test_a_run_without_the_key_of_a_cloud_works(cloud: str, workspace: Path) -> None:
    answer = as_frames if cloud == "bedrock" else as_sse
    with (
        serving(lambda _: answer(chunks_of(Turn("done")))) as server,
        proxy(server, workspace.parent) as port,
    ):
        base = f"http://127.0.0.1:{port}/{cloud}"
        placeholders = dict.fromkeys(("AWS_BEARER_TOKEN_BEDROCK", "ANTHROPIC_FOUNDRY_API_KEY"), "placeholder")
        places = {f"ANTHROPIC_{cloud.upper()}_BASE_URL": base, "NO_PROXY": "127.0.0.1"}
        done = run(
            {"prompt": "go", "model": f"{cloud}:us.anthropic.m-v1:0"}, workspace, places | placeholders
        )
    assert (done.code, done.complete["output"]) == (0, "done")
    headers = server.requests[0].headers
    assert KEYS[next(name for name in KEYS if cloud.upper() in name)] in (
        headers.get("x-api-key"),
        headers.get("authorization", "").removeprefix("Bearer "),
    )
    assert "placeholder" not in str(headers)


@pytest.mark.parametrize(
    "path", ["/anthropic/v1/files", "/openai/v1/models", "/other/v1/messages", "/", "/anthropic"]
)
def test_nothing_but_model_calls_is_passed_on(path: str, tmp_path: Path) -> None:
    with (
        ModelServer([Turn(text="x")]) as server,
        proxy(server, tmp_path) as port,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection,
    ):
        connection.request("POST", path, b"{}")
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 403 and not server.requests
