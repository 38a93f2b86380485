"""What the `error` event says about an invalid request."""

from __future__ import annotations

import pytest

from agent_runtime.errors import RequestError


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("expected an integer, got 'a, b: c'", "an integer"),
        ("expected a file that can be read: /x (No such file or directory)", "a file that can be read"),
        (
            "expected a number and s, m, h, d or w, such as 30d; got 'x'",
            "a number and s, m, h, d or w, such as 30d",
        ),
        ("expected 'low' or 'high', got 'mid'", "'low' or 'high'"),
        ("required: the task as a string", "the task as a string"),
        ("the provider of 'x:y' is unknown; expected provider:name", "provider:name"),
        ('expected an object such as {"action": "pause"}: line 1', 'an object such as {"action": "pause"}'),
        (
            "expected a name such as --model groq:NAME: there is no default",
            "a name such as --model groq:NAME",
        ),
        ("expected a folder; give --workspace DIR", "a folder"),
        ("there is no thread 'x'", "there is no thread 'x'"),
    ],
)
def test_error_details_exclude_the_given_value(problem: str, expected: str) -> None:
    error = RequestError("config.x", problem)
    assert error.details == {"field": "config.x", "expected": expected}
    assert str(error.labelled("--x")) == f"--x: {problem}"
    assert error.inside("servers").details["field"] == "servers.config.x"
