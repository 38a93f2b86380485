"""The credentials of a cloud in a run: they authorize its model requests, and neither tools nor records have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.scripted import run_scripted
from tests.providers.cloud_servers import Answer, Received, as_frames, as_json, as_sse, chunks_of, serving
from tests.support.runs import bash

ID, SECRET, TOKEN = "AKIAEXAMPLEEXAMPLE12", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE8"
LOOK = "env; tr '\\0' '\\n' < /proc/$PPID/environ; cat secrets"


def scripted(
    turns: list[Turn], answer: Callable[[list[dict[str, Any]]], Answer]
) -> Callable[[Received], Answer]:
    rest = iter(turns)
    return lambda request: answer(chunks_of(next(rest)))


def recorded(state: Path) -> str:
    """All that is recorded of runs."""
    return "".join(path.read_text(errors="replace") for path in state.rglob("*") if path.is_file())


def test_credentials_of_aws_stay_in_the_runtime(tmp_path: Path) -> None:
    workspace, state = tmp_path / "workspace", tmp_path / "state"
    workspace.mkdir()
    (workspace / "secrets").write_text(f"{ID} {SECRET} {TOKEN}")
    keys = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    with serving(scripted([bash(LOOK), Turn("done")], as_frames)) as server:
        env = {
            "AWS_REGION": "eu-west-1",
            "ANTHROPIC_BEDROCK_BASE_URL": server.url,
            "AGENT_RUNTIME_STATE_DIR": str(state),
        }
        model = "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0"
        done = run_scripted([], workspace, env=env | keys, options=["--model", model])
    assert (done.code, done.complete["output"]) == (0, "done"), done.of("error")
    [looked] = done.of("tool_result")
    assert "AWS_REGION=eu-west-1" in looked["output"]  # of the tools' own programs
    assert not [name for name in keys if f"{name}=" in looked["output"].replace("=xxx", "")]
    assert "[secret] [secret] [secret]" in looked["output"]
    for text in (json.dumps(done.events), recorded(state)):
        assert SECRET not in text and TOKEN not in text
    assert f"Credential={ID}/" in server.requests[1].headers["authorization"]


def test_tools_keep_the_credentials_of_aws_where_another_model_is_used(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    done = run_scripted([bash('echo "${#AWS_SECRET_ACCESS_KEY}"'), Turn("done")], tmp_path, env=keys)
    assert done.of("tool_result")[0]["output"].strip() == str(len(SECRET))


def test_a_request_gives_tools_credentials_of_their_own(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    with serving(scripted([bash('echo "<$AWS_ACCESS_KEY_ID>"'), Turn("done")], as_frames)) as server:
        env = {"AWS_REGION": "r", "ANTHROPIC_BEDROCK_BASE_URL": server.url} | keys
        request = tmp_path / "request.json"
        request.write_text(json.dumps({"prompt": "go", "env": {"AWS_ACCESS_KEY_ID": "AKIAOFTHEAPPLICATION"}}))
        options = ["--model", "bedrock:m", "--request", str(request)]
        done = run_scripted([], tmp_path, env=env, options=options)
    assert "AKIAOFTHEAPPLICATION" in done.of("tool_result")[0]["output"]


def test_credentials_of_google_stay_in_the_runtime(tmp_path: Path) -> None:
    workspace, state = tmp_path / "workspace", tmp_path / "state"
    workspace.mkdir()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    access = "ya29.EXAMPLE-access-token-0123456789"
    file = workspace / "secrets"
    with serving(lambda _: as_json({"access_token": access, "expires_in": 3600})) as other:
        account = {"type": "service_account", "client_email": "a@b.c", "token_uri": other.url}
        file.write_text(json.dumps(account | {"private_key": pem}))
        read = 'import json; print(json.load(open("secrets"))["private_key"])'
        say = f"env; cat secrets; echo {access}; python3 -c '{read}'"
        with serving(scripted([bash(say), Turn("done")], as_sse)) as server:
            env = {
                "ANTHROPIC_VERTEX_BASE_URL": server.url,
                "ANTHROPIC_VERTEX_PROJECT_ID": "p",
                "CLOUD_ML_REGION": "global",
                "GOOGLE_APPLICATION_CREDENTIALS": str(file),
                "AGENT_RUNTIME_STATE_DIR": str(state),
            }
            options = ["--model", "vertex:claude-sonnet-4-5@20250929"]
            done = run_scripted([], workspace, env=env, options=options)
    assert (done.code, done.complete["output"]) == (0, "done"), done.of("error")
    [looked] = done.of("tool_result")
    assert "CLOUD_ML_REGION=global" in looked["output"] and "GOOGLE_APP" not in looked["output"]
    assert looked["output"].count("[secret]") == 3
    for text in (json.dumps(done.events), recorded(state)):
        assert access not in text and pem.splitlines()[3] not in text
    assert server.requests[1].headers["authorization"] == f"Bearer {access}"
