from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.engine.mcp_config import server_secrets
from agent_runtime.engine.run_config import RunConfig, prepare
from agent_runtime.errors import RequestError
from agent_runtime.mcp import config
from agent_runtime.protocol.request import parse

ENVIRON = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/root",
    "ANTHROPIC_API_KEY": "sk-ant-0123456789abcdef",
    "WHO": "me",
    "EMPTY": "",
}

Prepare = Callable[..., RunConfig]


@pytest.fixture
def prepared(workspace: Path) -> Prepare:
    def of(servers: Any = None, **fields: Any) -> RunConfig:
        body = {"prompt": "x", "workspace": str(workspace)} | fields
        if servers is not None:
            body["mcpServers"] = servers
        return prepare(parse(body)[0], ENVIRON)

    return of


WRONG: list[tuple[Any, str]] = [
    ([], "mcpServers"),
    ({"s": "npx"}, "mcpServers.s"),
    ({"s": {}}, "mcpServers.s"),
    ({"s": {"command": 5}}, "mcpServers.s.command"),
    ({"s": {"command": "x", "url": "http://h"}}, "mcpServers.s"),
    ({"s": {"type": "sse", "url": "http://h"}}, "mcpServers.s.type"),
    ({"s": {"type": "http", "command": "x"}}, "mcpServers.s"),
    ({"s": {"url": "ftp://h"}}, "mcpServers.s.url"),
    ({"s": {"url": "${NOT_SET}"}}, "mcpServers.s.url"),
    ({"s": {"command": "x", "args": "y"}}, "mcpServers.s.args"),
    ({"s": {"command": "x", "args": ["${NOT_SET}"]}}, "mcpServers.s.command"),
    ({"s": {"command": "x", "args": ["a\0b"]}}, "mcpServers.s.command"),
    ({"s": {"command": "x", "env": {"A": 1}}}, "mcpServers.s.env.A"),
    ({"s": {"command": "x", "env": {"A": "${ANTHROPIC_API_KEY}"}}}, "mcpServers.s.env.A"),
    ({"s": {"url": "http://h", "headers": {"X": "sk-ant-0123456789abcdef"}}}, "mcpServers.s.headers.X"),
    ({"s": {"command": "x", "timeout": 0}}, "mcpServers.s.timeout"),
    ({"s": {"command": "x", "enabledTools": "all"}}, "mcpServers.s.enabledTools"),
    ({"s": {"command": "x", "required": "yes"}}, "mcpServers.s.required"),
    ({"": {"command": "x"}}, "mcpServers."),
]


@pytest.mark.parametrize(("servers", "field"), WRONG)
def test_a_wrong_server_is_refused_with_its_field(servers: Any, field: str, prepared: Prepare) -> None:
    with pytest.raises(RequestError) as raised:
        prepared(servers)
    assert raised.value.field == field
    assert ENVIRON["ANTHROPIC_API_KEY"] not in str(raised.value)


def test_variables_are_filled_in(prepared: Prepare) -> None:
    [server] = prepared(
        {
            "s": {
                "command": "${WHO}-server",
                "args": [
                    "${WHO:-you}",
                    "${NOT_SET:-default value}",
                    "${EMPTY:-full}",
                    "$WHO",
                    "${EMPTY}",
                    "${A B}",
                ],
                "env": {"KEY": "a ${WHO} b ${OWN}", "DEFAULT": "${ANTHROPIC_API_KEY:-none}"},
            }
        },
        env={"OWN": "of the request"},
    ).mcp_servers
    assert server.command == ("me-server", "me", "default value", "full", "$WHO", "", "${A B}")
    assert server.env == {"KEY": "a me b of the request", "DEFAULT": "none"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"timeout": 600_000}, 600),
        ({"timeout": 1500}, 1.5),
        ({"timeout": 20}, 20),
        ({"toolTimeoutSec": 7}, 7),
        ({"tool_timeout_sec": 0.5, "timeout": 5000}, 0.5),
    ],
)
def test_time_limits_of_calls_are_read(given: Any, seconds: float | None, prepared: Prepare) -> None:
    [server] = prepared({"s": {"command": "x"} | given}).mcp_servers
    assert server.call_seconds == seconds


def write(path: Path, servers: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"mcpServers": servers}))
    return str(path)


def commands(run: RunConfig) -> dict[str, str]:
    return {server.name: server.command[0] for server in run.mcp_servers}


def test_sources_of_servers_have_an_order_of_precedence(
    prepared: Prepare, workspace: Path, tmp_path: Path
) -> None:
    servers = {name: {"command": "workspace"} for name in "abcd"}
    write(workspace / ".mcp.json", servers)
    agents = tmp_path / "agents"
    agents.mkdir()
    definition = (
        "---\nmcpServers:\n  b:\n    command: agent\n  c:\n    command: agent\n    args: [x, y]\n---\nGo."
    )
    (agents / "own.md").write_text(definition)
    (workspace / ".agent-runtime" / "agents").mkdir(parents=True)
    (workspace / ".agent-runtime" / "agents" / "code-assistant.md").write_text(definition)
    file = write(tmp_path / "mcp.json", {"a": {"command": "file"}})
    assert commands(prepared()) == {}  # nothing that a workspace says is trusted
    own = prepared({"b": {"command": "request"}}, agent="own", agentsDir=str(agents), mcpConfig=file)
    assert commands(own) == {"a": "file", "b": "request", "c": "agent"}
    assert own.mcp_servers[2].command == ("agent", "x", "y")
    assert commands(prepared(workspaceMcp=True)) == {
        "a": "workspace",
        "b": "agent",
        "c": "agent",
        "d": "workspace",
    }


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"mcpServers": []}', '{"mcpServers": {"s": {}}}', "[" * 10**5]
)
def test_a_file_of_another_form_is_refused(text: str, prepared: Prepare, workspace: Path) -> None:
    path = workspace / "mcp.json"
    path.write_text(text)
    with pytest.raises(RequestError) as raised:
        prepared(mcpConfig=str(path))
    assert raised.value.field == "mcpConfig"
    with pytest.raises(RequestError, match="can be read"):
        prepared(mcpConfig=str(workspace / "gone.json"))


def test_a_workspace_cannot_lead_to_another_file(prepared: Prepare, workspace: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.json", {"a": {"command": "x"}})
    (workspace / ".mcp.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(RequestError, match="outside of"):
        prepared(workspaceMcp=True)


def test_without_the_client_the_error_says_how_to_install_it(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'agent-runtime\[mcp\]'"):
        prepared({"s": {"command": "x"}})
    assert prepared({"s": {"command": "x", "enabled": False}}).mcp_servers == ()
    assert prepared().mcp_servers == ()


def test_the_secrets_of_servers_are_found(prepared: Prepare) -> None:
    servers = {
        "a": {
            "command": "x",
            "args": [
                "--api-key",
                "secret1",
                "--token=secret2",
                "--header",
                "Authorization: Bearer secret3",
                "-v",
            ],
            "env": {"MY_TOKEN": "secret4", "DATABASE": "postgres://u:secret5@h/db", "MODE": "fast"},
        },
        "b": {
            "url": "http://u:secret6@h/mcp?api_key=secret7&x=1",
            "headers": {"X-Api-Key": "secret8", "Accept": "a"},
        },
    }
    found = server_secrets(prepared(servers).mcp_servers)
    assert {secret for secret in found if secret.startswith("secret")} == {f"secret{i}" for i in range(1, 9)}
    assert not {"fast", "-v", "a", "1"} & set(found)
