"""The usage of Chat Completions, wherever a provider reports it."""

from __future__ import annotations

import pytest

from agent_runtime.protocol.messages import Usage
from tests.providers.decoding import decode
from tests.providers.openai_chat.chunks import FORMAT, Json, chunk

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.mark.parametrize(
    ("chunks", "usage"),
    [
        ([chunk("stop"), {"choices": [], "usage": USAGE}], Usage(input_tokens=10, output_tokens=5)),
        ([chunk("stop") | {"usage": USAGE}], Usage(input_tokens=10, output_tokens=5)),
        ([chunk("stop") | {"x_groq": {"usage": USAGE}}], Usage(input_tokens=10, output_tokens=5)),
        (
            [{"choices": [{"delta": {}, "finish_reason": "stop", "usage": USAGE}]}],
            Usage(input_tokens=10, output_tokens=5),
        ),
        (
            [
                chunk(content="a") | {"usage": USAGE | {"completion_tokens": 1, "total_tokens": 11}},
                chunk("stop") | {"usage": USAGE},
            ],
            Usage(input_tokens=10, output_tokens=5),
        ),
        (
            [
                chunk("stop")
                | {
                    "usage": USAGE
                    | {"total_tokens": 45, "completion_tokens_details": {"reasoning_tokens": 30}}
                }
            ],
            Usage(input_tokens=10, output_tokens=35, reasoning_tokens=30),
        ),
        (
            [chunk("stop") | {"usage": USAGE | {"total_tokens": 45}}],
            Usage(input_tokens=10, output_tokens=35, reasoning_tokens=30),
        ),
        (
            [chunk("stop") | {"usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 8}}}],
            Usage(input_tokens=10, output_tokens=5, cached_input_tokens=8),
        ),
        (
            [chunk("stop") | {"usage": USAGE | {"prompt_cache_hit_tokens": 8}}],
            Usage(input_tokens=10, output_tokens=5, cached_input_tokens=8),
        ),
        ([chunk("stop") | {"usage": None}], None),
    ],
)
def test_usage_is_found_wherever_a_provider_puts_it(chunks: list[Json], usage: Usage | None) -> None:
    assert decode(FORMAT, chunks)[0].usage == usage


def test_usage_of_zero_tokens_is_ignored() -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    early = chunk(content="a") | {"usage": USAGE}
    assert decode(FORMAT, [early, chunk("stop") | {"usage": nothing}])[0].usage == Usage(
        input_tokens=10, output_tokens=5
    )
    assert decode(FORMAT, [chunk("stop") | {"usage": nothing}])[0].usage is None


@pytest.mark.parametrize(
    ("prompt", "cached", "written", "expected"),
    [
        (12, 5000, 0, 5012),
        (12, 0, 5000, 5012),
        (12, 3000, 2000, 5012),
        (5012, 5000, 0, 5012),
        (5000, 5000, 0, 5000),
    ],
)
def test_cached_tokens_are_included_in_the_input(
    prompt: int, cached: int, written: int, expected: int
) -> None:
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": 5, "total_tokens": expected + 5}
    usage |= {"prompt_tokens_details": details}
    counted = decode(FORMAT, [chunk("stop", content="x") | {"usage": usage}])[0].usage
    assert counted == Usage(
        input_tokens=expected, output_tokens=5, cached_input_tokens=cached, cache_write_tokens=written
    )
