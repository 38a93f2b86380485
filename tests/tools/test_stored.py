"""What is stored about the tools is what the tools say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_runtime import tools
from agent_runtime.tools._stored import StoredTool

REPO = Path(__file__).parents[2]


@pytest.mark.parametrize("name", tools.names())
def test_a_stored_tool_is_described_as_the_tool_itself(name: str) -> None:
    stored, itself = tools.load(name), tools.imported(name)
    assert stored.spec() == itself.spec(), "run scripts/make-tools"
    assert (stored.name, stored.scans, stored.parallel) == (itself.name, itself.scans, itself.parallel)


def test_the_entries_are_those_of_the_tools() -> None:
    entries = json.loads((REPO / "agent_runtime" / "data" / "tools.json").read_text())
    assert list(entries) == tools.names(), "run scripts/make-tools"


def test_a_description_may_be_in_the_module_of_the_tool() -> None:
    entry: dict[str, Any] = {
        "description": "In its own words.",
        "parameters": {},
        "native": None,
        "hosted": (),
    }
    tool = StoredTool(
        "line_count", entry, describe=lambda: tools.prompt("line_count"), load=lambda: tools.load("bash")
    )
    assert tool.spec().description == "In its own words."
