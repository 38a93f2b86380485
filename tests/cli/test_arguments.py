"""What the command line refuses before a command runs."""

from __future__ import annotations

import pytest

from agent_runtime.cli.main import main
from agent_runtime.cli.options import METAVARS, OPTIONS, named_by_option
from agent_runtime.errors import RequestError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["runs", "--limit", "0"], "expected a number above 0, got '0'"),
        (["runs", "--limit", "-1"], "expected a number above 0, got '-1'"),
        (["serve", "--port", "70000"], "expected a port from 0 to 65535, got '70000'"),
        (["serve", "--port", "http"], "expected a port from 0 to 65535, got 'http'"),
    ],
)
def test_a_number_out_of_range_is_refused(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert expected in capsys.readouterr().err


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "doctor" in capsys.readouterr().err


def test_every_option_with_a_value_names_it() -> None:
    assert set(METAVARS) == {option for option, (_, kind, _) in OPTIONS.items() if kind != "flag"}


@pytest.mark.parametrize(
    ("field", "option"), [("tools[0]", "--tools[0]"), ("config.maxTurns", "--max-turns"), ("model", "model")]
)
def test_an_error_names_the_option_that_gave_the_field(field: str, option: str) -> None:
    error = named_by_option(RequestError(field, "expected"), {"tools": ["basch"], "maxTurns": 0})
    assert str(error) == f"{option}: expected"
    assert error.field == field
