"""A call is executed once, and a text is said once, in every dialect in which gateways stream them.

Each dialect changes the events of a plain stream. Every one of them alone, and in pairs, must decode to the same turn.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent_runtime.errors import ProviderError
from tests.providers.decoding import decode, merged
from tests.providers.dialects import COMMANDS, DIALECTS, EXCLUDED, TEXT, Dialect, Json, stream
from tests.support.formats import FORMATS


def alone() -> list[Any]:
    return [
        pytest.param(format, dialect, id=dialect.__name__)
        for format in FORMATS
        for dialect in DIALECTS[format]
    ]


def pairs(format: str) -> Iterator[tuple[Dialect, Dialect]]:
    for one, other in itertools.permutations(DIALECTS[format], 2):
        excluded = (*EXCLUDED.get(one.__name__, ()), *EXCLUDED.get(other.__name__, ()))
        if one not in excluded and other not in excluded:
            yield one, other


def check(format: str, chunks: list[Json], number: int) -> None:
    turn, deltas = decode(format, chunks)
    assert [call.input for call in turn.message.calls] == [{"cmd": command} for command in COMMANDS[:number]]
    assert {call.name for call in turn.message.calls} <= {"sh"}
    assert len({call.id for call in turn.message.calls}) == number
    assert turn.message.text == TEXT
    assert turn.stop == ("tool_calls" if number else "end_turn")
    assert turn.message.native is not None
    assert json.dumps([*turn.message.native.items]).count("echo ran >> c.txt") == min(number, 1)
    assert merged(deltas, turn)["text", ""] == TEXT


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(("format", "dialect"), alone())
def test_each_call_is_decoded_exactly_once(format: str, dialect: Dialect, number: int) -> None:
    check(format, dialect(stream(format, number)), number)


@pytest.mark.parametrize("format", FORMATS)
def test_each_call_is_decoded_exactly_once_in_two_dialects_combined(format: str) -> None:
    wrong: list[str] = []
    tried = 0
    for one, other in pairs(format):
        try:
            chunks = other(one(stream(format, 3)))
        except (KeyError, IndexError, ValueError):
            continue  # the first change has removed what the second one changes
        tried += 1
        try:
            check(format, chunks, 3)
        except (AssertionError, ProviderError) as error:
            wrong.append(f"{one.__name__} {other.__name__}: {error!r}"[:200])
    assert wrong == []
    assert tried > 150
