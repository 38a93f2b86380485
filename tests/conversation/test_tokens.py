"""Tokens: the packaged tokenizer's count, and an estimate that follows the provider's."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent_runtime.conversation.tokens import IMAGE_TOKENS, Estimator, Tokenizer, estimate
from agent_runtime.protocol.messages import Usage
from tests.conversation.messages import call, model, pdf, picture, result, user

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer()


def test_tokens_are_counted_as_by_o200k_base(tokenizer: Tokenizer) -> None:
    # known counts of o200k_base; special tokens are plain text
    counts = {"": 0, "hello world": 2, "tiktoken is great!": 6, "<|endoftext|>": 7, "\ud83d": 1}
    assert {text: tokenizer.count(text) for text in counts} == counts


def test_text_counted_in_pieces_is_counted_exactly(tokenizer: Tokenizer) -> None:
    text = Path(__file__).read_text() * 20
    assert tokenizer.count(text) == len(tokenizer._encoding.encode_ordinary(text))


@pytest.mark.parametrize("pattern", ["a", " ", "=", "\n", "漢"])
def test_a_megabyte_of_one_character_is_counted_quickly(tokenizer: Tokenizer, pattern: str) -> None:
    started = time.process_time()
    assert 0 < tokenizer.count(pattern * 1_000_000) <= 1_000_000
    assert time.process_time() - started < 2


def test_damaged_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"YQ== 0\n")
    with pytest.raises(ValueError, match="damaged"):
        Tokenizer(tmp_path / "data")


def test_the_estimate_follows_the_provider() -> None:
    estimator = Estimator(system="x" * 4000)
    first = user("y" * 4000)
    estimator.add(first)
    assert estimator.context == 1000 + 1000 + 4
    turn = model(call(cmd="ls"))
    estimator.observe(Usage(input_tokens=3990, output_tokens=30), turn)
    assert estimator.context == 4020
    added = user(result(text="z" * 4000))
    estimator.add(added)
    assert estimator.context == 4020 + round(1004 * 4020 / (2004 + estimate('bash{"cmd": "ls"}') + 4))
    before = estimator.context
    estimator.replaced([first])
    assert before * 0.4 < estimator.context < before


def test_an_image_counts_as_a_fixed_number_of_tokens() -> None:
    assert Estimator().size([user(picture())]) == IMAGE_TOKENS + 4


def test_the_pages_of_a_document_count_where_the_model_gets_them() -> None:
    message = user(pdf(text="x" * 400, pages=3))
    assert Estimator().size([message]) == 100 + 4
    assert Estimator(reads=lambda document: True).size([message]) == 100 + 3 * IMAGE_TOKENS + 4


async def test_tokens_are_counted_locally_when_the_provider_reports_none() -> None:
    estimator = Estimator(system="hello world")
    estimator.add(user("hello world"))
    turn = model("hello world")
    estimator.observe(None, turn)
    assert await estimator.counted(turn) == Usage(input_tokens=2 + 2 + 4, output_tokens=2 + 4, estimated=True)
    assert estimator.context == 14
    estimator.add(user("hello world"))
    second = model("hello world")
    estimator.observe(None, second)
    assert await estimator.counted(second) == Usage(input_tokens=14 + 6, output_tokens=6, estimated=True)


@pytest.mark.parametrize("reported", [(1, 0), (12, 5), (500, 100)])
async def test_an_implausible_provider_count_is_ignored(reported: tuple[int, int]) -> None:
    estimator = Estimator(system="x" * 4000)
    input, output = reported
    for turns in range(1, 5):
        estimator.add(user(result(text="12\n" * 4700)))
        turn = model(call(cmd="ls"))
        estimator.observe(Usage(input_tokens=input, output_tokens=output), turn)
        assert not estimator.is_counted
        assert estimator.context > turns * 3500
        await estimator.counted(turn)  # two tokens per line
        assert turns * 9400 < estimator.context < turns * 9500 + 1000


@pytest.mark.parametrize("reported", [900, 2000, 9000])
def test_a_plausible_provider_count_is_used(reported: int) -> None:
    estimator = Estimator(system="x" * 40_000)
    estimator.add(user("y" * 14_000))
    estimator.observe(Usage(input_tokens=reported, output_tokens=5), model("ok"))
    assert estimator.context == reported + 5


def test_an_output_count_without_an_input_count_is_ignored() -> None:
    estimator = Estimator()
    estimator.add(user("y" * 4000))
    before = estimator.context
    estimator.observe(Usage(output_tokens=5), model("ok"))
    assert estimator.context >= before
