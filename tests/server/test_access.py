"""Who may use a server, and what its runs may see of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import Turn
from agent_runtime.testing.runtime import COMMAND, environment
from tests.server.conftest import Serve, Served

Json = dict[str, Any]


def test_tools_cannot_read_the_keys_of_the_server(serve: Serve) -> None:
    served = serve([], "--api-key", "rt_live_mine")
    look = (  # the server, and every process from the tool up to the first one
        f'pids={served.process.pid}; pid=$$; while [ $pid -gt 0 ]; do pids="$pids $pid";'
        " pid=$(awk '/^PPid/ {print $2}' /proc/$pid/status); done;"
        " for pid in $pids; do cat /proc/$pid/environ /proc/$pid/cmdline; done 2>/dev/null | tr '\\0' '\\n' > seen.txt"
    )
    served.model.script[:] = [Turn(calls=[("bash", {"command": look})]), Turn(text="done")]
    with served.client() as client:
        assert client.get("/v1/agents").status_code == 401
        headers = {"x-api-key": "rt_live_mine"}
        done = client.post("/v1/run", json={"prompt": "go", "stream": False}, headers=headers)
    assert done.json()["data"]["status"] == "completed"
    seen = (served.workspace / "seen.txt").read_text(errors="replace")
    secrets = [value for name, value in served.model.environ("anthropic").items() if name.endswith("_KEY")]
    assert secrets and "agent-runtime serve" in seen
    assert not [value for value in [*secrets, "rt_live_mine"] if value in seen]


def test_listening_on_another_address_requires_a_key(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        env=environment({}, tmp_path),
        check=False,
    )
    assert done.returncode == 2 and "--api-key" in done.stderr


def keyed(serve: Serve, *keys: str) -> Served:
    options = [option for key in keys for option in ("--api-key", key)]
    return serve([Turn(text="done")], *options, repeat_last=True)


def test_keys_have_scopes_and_rate_limits(serve: Serve) -> None:
    served = keyed(serve, "rt_live_one:free", "rt_live_two")
    with served.client() as client:
        assert client.get("/v1/agents").status_code == 401
        assert client.get("/v1/agents", headers={"x-api-key": "rt_live_none"}).status_code == 401
        assert client.get("/healthz").status_code == 200
        for header in ({"authorization": "Bearer rt_live_two"}, {"x-api-key": "rt_live_two"}):
            response = client.get("/v1/agents", headers=header)
            assert response.status_code == 200 and response.headers["x-ratelimit-limit"] == "1000"
        assert (
            client.get("/v1/agents", headers={"x-api-key": "rt_live_one"}).headers["x-ratelimit-limit"]
            == "60"
        )


def test_requests_of_other_origins_are_refused(serve: Serve) -> None:
    with serve([]).client() as client:
        assert client.get("/v1/agents", headers={"origin": "https://evil.example"}).status_code == 403
        assert client.get("/v1/agents", headers={"host": "evil.example"}).status_code == 403
        assert client.get("/v1/agents", headers={"origin": str(client.base_url)}).status_code == 200
