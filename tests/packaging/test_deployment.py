"""The files that others deploy: valid by the published schemas, without privileges, and with arguments that exist."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from agent_runtime.cli.main import parser

REPO = Path(__file__).resolve().parents[2]
IMAGE = REPO / "sandbox-image"
SCHEMAS = REPO / "tests/data/schemas"
MANIFESTS = list(yaml.safe_load_all((IMAGE / "kubernetes.yaml").read_text("utf-8")))
COMPOSE = yaml.safe_load((IMAGE / "compose.yaml").read_text("utf-8"))

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("schema", "given"),
    [("compose", COMPOSE), ("firecracker", json.loads((IMAGE / "vm/firecracker.json").read_text("utf-8")))],
    ids=["compose", "firecracker"],
)
def test_the_file_is_valid_by_its_schema(schema: str, given: Json) -> None:
    validator = jsonschema_rs.validator_for(json.loads((SCHEMAS / f"{schema}.json").read_text("utf-8")))
    assert [error.message for error in validator.iter_errors(given)] == []
    wrong = {**given, "no-such-field": 1}
    assert not validator.is_valid(wrong)  # the schema is closed


def pods(manifest: Any) -> Iterator[Json]:
    if isinstance(manifest, dict):
        if "containers" in manifest:
            yield manifest
        for value in manifest.values():
            yield from pods(value)


def test_no_pod_has_privileges() -> None:
    found = [pod for manifest in MANIFESTS for pod in pods(manifest)]
    assert len(found) == 3
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] and own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            volumes = {volume["name"] for volume in pod["volumes"]} | {"workspace"}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    serve = COMPOSE["services"]["serve"]
    assert (
        serve["read_only"]
        and serve["cap_drop"] == ["ALL"]
        and serve["security_opt"] == ["no-new-privileges:true"]
    )


def commands() -> Iterator[list[str]]:
    yield COMPOSE["services"]["serve"]["command"]
    for manifest in MANIFESTS:
        for pod in pods(manifest):
            yield from (container["args"] for container in pod["containers"])
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(IMAGE / "agent-runtime.service")
    yield unit["Service"]["ExecStart"].partition("agent_runtime ")[2].split()


def test_every_command_is_one_that_the_program_takes() -> None:
    given = list(commands())
    assert [arguments[0] for arguments in given] == ["serve", "serve", "run", "serve", "standby"]
    for arguments in given:
        assert parser().parse_args(arguments)


def test_the_image_is_built_in_stages_for_a_user_without_privileges() -> None:
    lines = (IMAGE / "Dockerfile").read_text("utf-8")
    assert len(re.findall("^FROM ", lines, re.MULTILINE)) == 2
    last = lines.rpartition("FROM ")[2]
    assert "pip" not in last and re.search(r"^USER 1000:1000$", last, re.MULTILINE)
    for word in ("HEALTHCHECK", "LABEL", "install sbom"):
        assert word in last
