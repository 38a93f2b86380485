"""The files in deploy/: the commands of the Compose file, and the manifests for Kubernetes."""

from __future__ import annotations

import re
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from agent_runtime.testing.model_server import ModelServer
from agent_runtime.testing.runtime import COMMAND, catches, environment
from tests.fleet.conftest import tool_then_done
from tests.fleet.nats_process import NatsProcess
from tests.support.ports import ReservedPort
from tests.support.waiting import until

pytestmark = pytest.mark.long

Json = dict[str, Any]
DEPLOY = Path(__file__).parents[2] / "deploy"
VALUES = {"NATS_TOKEN": "nats-token", "AGENT_RUNTIME_KEY": "api-key"}


def services() -> Json:
    """The services of the Compose file, with the values of its variables."""
    text = re.sub(
        r"\$\{(\w+)[^}]*\}", lambda found: VALUES.get(found[1], ""), (DEPLOY / "compose.yaml").read_text()
    )
    found: Json = yaml.safe_load(text)["services"]
    return found


@pytest.mark.parametrize("name", ["runtime.yaml", "nats.yaml"])
def test_the_manifests_are_valid(name: str) -> None:
    for document in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()):
        assert kubernetes_validate.validate(document, "1.32", strict=True)


def test_the_scaler_scales_the_runners_by_their_queue() -> None:
    manifests = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "runtime.yaml").read_text()))
    scaler = yaml.safe_load((DEPLOY / "kubernetes" / "scaler.yaml").read_text())
    target = scaler["spec"]["scaleTargetRef"]["name"]
    [runner] = [each for each in manifests if each["metadata"]["name"] == target]
    [container] = runner["spec"]["template"]["spec"]["containers"]
    [trigger] = scaler["spec"]["triggers"]
    assert f"--queue={trigger['metadata']['consumer']}" in container["args"]
    assert f"--concurrency={trigger['metadata']['lagThreshold']}" in container["args"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_every_command_of_a_manifest_is_one_of_the_program() -> None:
    for document in yaml.safe_load_all((DEPLOY / "kubernetes" / "runtime.yaml").read_text()):
        if document["kind"] != "Deployment":
            continue
        [container] = document["spec"]["template"]["spec"]["containers"]
        arguments = [argument.partition("=")[0] for argument in container["args"]]
        help = subprocess.run([*COMMAND, arguments[0], "--help"], capture_output=True, text=True, check=True)
        assert all(option in help.stdout for option in arguments[1:])


def test_the_services_of_the_compose_file_work_together(tmp_path: Path) -> None:
    every = services()
    nats_conf = (DEPLOY / "nats.conf").read_text().replace("$NATS_TOKEN", VALUES["NATS_TOKEN"])
    own = "\n".join(line for line in nats_conf.splitlines() if not line.startswith(("listen", "jetstream")))
    nats = NatsProcess(tmp_path, own)
    ports = {name: ReservedPort() for name in every if name.startswith("server")}
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    started = []
    with ModelServer([tool_then_done("echo x >> acted")], repeat_last=True) as model:
        for name, service in every.items():
            if name == "nats":
                continue
            command = [
                argument.replace("nats:4222", f"127.0.0.1:{nats.port}")
                .replace("/state", f"{tmp_path}/{name}")
                .replace("/workspace", str(workspace))
                .replace("--port=8080", f"--port={ports[name].number if name in ports else 0}")
                for argument in service["command"]
            ]
            environ = environment(model.environ("anthropic"), tmp_path)
            log = (tmp_path / f"{name}.log").open("wb")
            started.append(subprocess.Popen([*COMMAND, *command], env=environ, stderr=log))
            log.close()
        try:
            headers = {"Authorization": f"Bearer {VALUES['AGENT_RUNTIME_KEY']}"}
            for name, port in ports.items():
                with httpx2.Client(
                    base_url=f"http://127.0.0.1:{port.number}", headers=headers, timeout=60
                ) as client:
                    until(lambda: _is_up(client))
                    body = {"prompt": "x", "stream": False, "runId": name}
                    assert client.post("/v1/run", json=body).json()["data"]["status"] == "completed"
                    listed = client.get("/v1/runs").json()["data"]
                    assert name in [run["runId"] for run in listed]
            assert (workspace / "acted").read_text() == "x\n" * len(ports)
            for process in started:  # a runner without a run may still be starting
                until(partial(catches, process.pid, signal.SIGTERM))
        finally:
            for process in started:
                process.terminate()
            codes = [process.wait(60) for process in started]
            nats.close()
            for port in ports.values():
                port.close()
    assert codes == [0] * len(codes)


def _is_up(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False
