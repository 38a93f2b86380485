"""The parameters of MCP tools, in forms that servers should not send but do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.mcp.schemas import sendable_schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYWORDS = ("type", "properties", "required", "anyOf", "oneOf", "allOf")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": True},
        {"type": "object", "required": [{}, 3, "missing"]},
        {"type": "object", "anyOf": 7},
        {"type": "object", "oneOf": True, "properties": 3},
    ],
)
def test_keywords_of_the_wrong_type_are_left_out(schema: dict[str, Any]) -> None:
    assert sendable_schema(schema) == {"type": "object", "properties": {}}


@given(st.dictionaries(st.sampled_from(KEYWORDS), JSON))
def test_every_schema_is_made_sendable_or_refused_with_the_reason(schema: dict[str, Any]) -> None:
    try:
        sent = sendable_schema(schema)
    except ValueError as error:
        assert str(error)
    else:
        assert sent["type"] == "object" and set(sent.get("required", ())) <= set(sent["properties"])
