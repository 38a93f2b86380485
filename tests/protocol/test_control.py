"""Control messages: what is accepted, and which field is wrong in what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_runtime.errors import RequestError
from agent_runtime.protocol.control import Renewal, parse_control


def parsed(**message: Any) -> Any:
    return parse_control(json.dumps({"action": "thaw", **message}).encode()).renewal


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"runId": "two words"}, "runId"),
        ({"runId": ""}, "runId"),
        ({"sandboxId": 7}, "sandboxId"),
        ({"sandboxId": "x" * 129}, "sandboxId"),
        ({"env": ["A=1"]}, "env"),
        ({"env": {"A": 1}}, "env"),
        ({"env": {"A=B": "1"}}, "env"),
        ({"env": {"A": "a\0b"}}, "env"),
    ],
)
def test_a_thaw_with_an_invalid_field_is_refused(message: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as refused:
        parsed(**message)
    assert refused.value.field == field


def test_a_thaw_names_what_a_fork_has_of_its_own() -> None:
    assert parsed() == Renewal()
    assert parsed(runId="run_1", sandbox_id="sb-1", env={"A": ""}) == Renewal("run_1", "sb-1", {"A": ""})
