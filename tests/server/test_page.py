"""The page at `/`: its files, its policy, and the report of a run."""

from __future__ import annotations

import re

import pytest

from agent_runtime.page.assets import names
from agent_runtime.server.page_routes import _frame_sources
from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve


def test_the_page_needs_no_key_and_its_policy_is_strict(serve: Serve) -> None:
    served = serve([], "--api-key", "secret")
    with served.client() as client:
        page = client.get("/")
        assert page.status_code == 200 and "unsafe" not in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert re.search(r"<script(?! type=\"module\" src=)|<style|\son\w+=", page.text) is None
        for name in names():
            file = client.get(f"/page/{name}")
            assert file.status_code == 200 and file.headers["x-content-type-options"] == "nosniff"
            again = client.get(f"/page/{name}", headers={"if-none-match": file.headers["etag"]})
            assert (again.status_code, again.text) == (304, "")
        for other in ("x.js", "../assets.py", "..%2fassets.py", "%2e%2e%2fassets.py", ""):
            assert client.get(f"/page/{other}").status_code in (401, 404)
        assert client.get("/v1/runs").status_code == 401


@pytest.mark.parametrize(
    ("template", "sources"),
    [
        (None, ""),
        ("https://{sandboxId}-{port}.example.com", " https://*.example.com:*"),
        ("https://{port}.{sandboxId}.example.com/x", " https://*.example.com:*"),
        ("http://dev.example.com:{port}", " http://dev.example.com:*"),
    ],
)
def test_only_development_servers_can_be_embedded(template: str | None, sources: str) -> None:
    assert _frame_sources(template) == f"http://localhost:* http://127.0.0.1:*{sources}"


def test_the_report_of_a_run_as_a_page_and_as_data(serve: Serve) -> None:
    served = serve([Turn(calls=[("bash", {"command": "echo hi"})]), Turn(text="done")])
    with served.client() as client:
        run = client.post("/v1/run", json={"prompt": "say <hi>", "stream": False}).json()["data"]["runId"]
        page = client.get(f"/v1/runs/{run}/report")
        assert page.headers["content-type"].startswith("text/html") and "echo hi" in page.text
        data = client.get(f"/v1/runs/{run}/report", headers={"accept": "application/json"}).json()["data"]
        assert (data["title"], data["ended"]) == ("say <hi>", True)
        assert {tool["name"] for tool in data["prompts"][0]["tools"]} >= {"bash"}
        assert client.get("/v1/runs/run_none/report").status_code == 404
        [row] = client.get("/v1/runs").json()["data"]
        assert (row["prompt"], row["status"]) == ("say <hi>", "completed")
