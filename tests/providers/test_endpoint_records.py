"""Endpoints of older transcripts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from agent_runtime.providers.catalog import NEVER, OMIT, ThinkingOff
from agent_runtime.providers.endpoint_records import current_form
from agent_runtime.providers.endpoints import Endpoint, resolve

OLD: dict[str, Any] = {
    "provider": "openai",
    "format": "openai-responses",
    "model": "gpt-5.2",
    "base_url": "http://h/v1",
    "api_key": None,
    "key_variable": "OPENAI_API_KEY",
    "context_window": 400_000,
    "max_output": 128_000,
    "family": "codex",
    "thinking": "effort",
    "thinking_off": "none",
    "takes_temperature": False,
    "efforts": ["low", "high"],
    "hosted_tools": True,
    "max_tokens_field": "max_completion_tokens",
}


@pytest.mark.parametrize(("off", "found"), [("none", ThinkingOff("value", "none")), ("", OMIT), ("-", NEVER)])
def test_an_older_record_becomes_an_endpoint(off: str, found: ThinkingOff) -> None:
    record = json.dumps(current_form(OLD | {"thinking_off": off}))
    endpoint = TypeAdapter(Endpoint).validate_json(record, strict=True)
    assert (endpoint.format, endpoint.model, endpoint.tool_family) == ("openai-responses", "gpt-5.2", "codex")
    assert (endpoint.context_window, endpoint.model_row.temperature) == (400_000, False)
    assert (endpoint.model_row.thinking_off, endpoint.model_row.efforts) == (found, ("low", "high"))
    assert (endpoint.provider_row.hosted_tools, endpoint.key_variable) == (True, "OPENAI_API_KEY")


def test_a_present_record_is_not_changed() -> None:
    record = json.loads(json.dumps(asdict(resolve("claude-opus-5", {}))))
    assert current_form(record) is record
    assert TypeAdapter(Endpoint).validate_json(json.dumps(record), strict=True) == resolve(
        "claude-opus-5", {}
    )


@pytest.mark.parametrize("record", [None, [], "x", 5, {}, {"format": 5}, {"format": [], "thinking_off": {}}])
def test_an_invalid_endpoint_record_is_refused(record: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        TypeAdapter(Endpoint).validate_json(json.dumps(current_form(record)), strict=True)


@pytest.mark.parametrize("path", ["agent_runtime/data/demo.ndjson", "examples/transcript.ndjson"])
def test_the_transcripts_of_this_repository_have_endpoints(path: str) -> None:
    lines = (Path(__file__).parents[2] / path).read_text("utf-8").splitlines()
    resolved = next(r["resolved"] for r in map(json.loads, lines) if r["kind"] == "request")
    assert resolved["endpoints"]
    for record in resolved["endpoints"]:
        assert TypeAdapter(Endpoint).validate_python(current_form(record)).model
