"""The description of the API against the server: requests that are generated from it get documented answers, no 500."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "negative_data_rejection",
)

OLDER_FORMS = ("/v1/run/{slug}", "/v1/agents/{slug}/run")  # take the same body as /v1/run


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_answer_is_described(serve: Serve, tmp_path: Path) -> None:
    served = serve([Turn(text="done")], repeat_last=True, standby=True)
    command = ["schemathesis", "run", f"{served.url}/openapi.json", "--generation-deterministic"]
    program = Path(sys.executable).with_name(command[0])
    limits = ["--phases", "coverage", "--checks", ",".join(CHECKS), "--request-timeout", "120"]
    for path in OLDER_FORMS:
        limits += ["--exclude-path", path]
    done = subprocess.run(
        [program, *command[1:], *limits], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8_000:]
    assert "Tested: " in done.stdout
