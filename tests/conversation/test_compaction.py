"""A history beyond the window: shortened, summarised, or refused as a typed overflow; never a loop."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent_runtime.conversation.compaction import LATEST, SUMMARY, Compactor, ContextLimits
from agent_runtime.conversation.normalize import normalize
from agent_runtime.conversation.tokens import IMAGE_TOKENS, Estimator
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.events import NoticeEvent
from agent_runtime.protocol.messages import Message, Text, ToolCall, ToolResult, Usage, UserMessage
from tests.conversation.messages import call, model, native, pdf, result, user

pytestmark = pytest.mark.anyio

WINDOW, RESERVE = 20_000, 4_000
LIMITS = ContextLimits(WINDOW, RESERVE)


class Summarizer:
    """Stands where the model would, and remembers what it was given."""

    def __init__(self, *answers: str | ProviderError) -> None:
        self.answers = list(answers) or ["It went well so far."]
        self.asked: list[str] = []

    async def __call__(self, messages: list[Message]) -> str:
        [message] = messages
        assert isinstance(message, UserMessage)
        [block] = message.blocks
        assert isinstance(block, Text)
        self.asked.append(block.text)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, ProviderError):
            raise answer
        return answer


def compactor(history: Sequence[Message], summarizer: Summarizer) -> Compactor:
    estimator = Estimator(system="s" * 4_000)
    estimator.replaced(history)
    return Compactor(limits=lambda: LIMITS, estimator=estimator, summarize=summarizer)


def turns(count: int, *, output: int = 0, said: int = 0, first: int = 0) -> list[Message]:
    """A task, and `count` turns of a call with that much output, or of that much text."""
    history: list[Message] = [user("Build the thing.")]
    for number in range(first, first + count):
        thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
        use = {"type": "tool_use", "id": f"c{number}", "name": "bash", "input": {"n": number}}
        history.append(
            model("x" * said, call(f"c{number}", n=number), native=native(thought, use))
            if said
            else model(call(f"c{number}", n=number), native=native(thought, use))
        )
        history.append(user(result(f"c{number}", f"begin {number}\n" + "y" * output + f"\nend {number}")))
    return history


def outputs(messages: Sequence[Message]) -> list[str]:
    return [b.text for m in messages for b in m.blocks if isinstance(b, ToolResult)]


def tokens(details: NoticeEvent | None) -> tuple[int, int]:
    assert details is not None and details.code == "context_compacted" and details.details
    return details.details["tokensBefore"], details.details["tokensAfter"]


async def test_a_history_that_fits_is_unchanged() -> None:
    history = turns(3, output=1_000)
    summarizer = Summarizer()
    fitted = await compactor(history, summarizer).fit(history)
    assert (fitted.messages, fitted.notice, summarizer.asked) == (history, None, [])


async def test_old_outputs_are_shortened_first_and_the_last_turns_kept_whole() -> None:
    history = turns(6, output=12_000)
    summarizer = Summarizer()
    fitting = compactor(history, summarizer)
    fitted = await fitting.fit(history)
    before, after = tokens(fitted.notice)
    assert before > fitting.budget >= after
    assert summarizer.asked == []
    short, whole = outputs(fitted.messages)[0], outputs(fitted.messages)[-1]
    assert short.startswith("begin 0\n") and short.endswith("\nend 0") and "bytes cut here" in short
    assert len(short) <= 2_000
    assert whole == outputs(history)[-1]
    assert [m for m in fitted.messages if m.role == "assistant"] == [
        m for m in history if m.role == "assistant"
    ]
    assert normalize(fitted.messages).repairs == ()
    again = await fitting.fit(fitted.messages)
    assert again.notice is None


async def test_older_turns_are_summarised_and_the_task_and_the_last_turns_kept() -> None:
    history = [*turns(30, said=2_500), user("And now the tests."), *turns(2, said=2_500, first=30)[1:]]
    summarizer = Summarizer("Thirty steps were taken.")
    fitted = await compactor(history, summarizer).fit(history)
    before, after = tokens(fitted.notice)
    assert after < before / 2
    head = fitted.messages[0]
    texts = [block.text for block in head.blocks if isinstance(block, Text)]
    assert texts[0] == "Build the thing."
    assert texts[1].startswith(SUMMARY) and "Thirty steps were taken." in texts[1]
    assert fitted.messages[-1] == history[-1]
    recent = len(fitted.messages) - 1
    assert tuple(fitted.messages[1:]) == normalize(history).messages[-recent:]
    assert [m.role for m in fitted.messages[:2]] == ["user", "assistant"]
    assert normalize(fitted.messages).repairs == ()
    [asked] = summarizer.asked
    assert "Build the thing." in asked and "## Call of bash" in asked
    assert len(asked) < WINDOW * 4


async def test_the_latest_instructions_are_kept_verbatim() -> None:
    history = [*turns(3), user("Now paint it blue."), *turns(30, said=2_500, first=50)[1:]]
    fitted = await compactor(history, Summarizer()).fit(history)
    texts = [block.text for block in fitted.messages[0].blocks if isinstance(block, Text)]
    assert (texts[0], texts[-1]) == ("Build the thing.", f"{LATEST}\nNow paint it blue.")
    longer = [*fitted.messages, *turns(30, said=2_500, first=50)[1:]]
    again = await compactor(longer, Summarizer("second")).fit(longer)
    texts = [block.text for block in again.messages[0].blocks if isinstance(block, Text)]
    assert (texts[0], texts[-1]) == ("Build the thing.", f"{LATEST}\nNow paint it blue.")
    assert sum(text.startswith(SUMMARY) for text in texts) == 1


async def test_a_failed_summary_is_tried_once_more_with_less() -> None:
    history = turns(30, said=2_500)
    refused = ProviderError("context_overflow", "too long", retryable=False)
    summarizer = Summarizer(refused, "Done so far.")
    fitted = await compactor(history, summarizer).fit(history)
    assert len(summarizer.asked) == 2
    assert len(summarizer.asked[1]) < len(summarizer.asked[0])
    tokens(fitted.notice)


@pytest.mark.parametrize("answer", ["", "  ", ProviderError("overloaded", "busy", retryable=True)])
async def test_a_summarizer_that_fails_twice_is_a_typed_overflow(answer: str | ProviderError) -> None:
    history = turns(30, said=2_500)
    summarizer = Summarizer(answer)
    with pytest.raises(ProviderError, match="summary failed") as failed:
        await compactor(history, summarizer).fit(history)
    assert (failed.value.code, failed.value.retryable, len(summarizer.asked)) == (
        "context_overflow",
        False,
        2,
    )


async def test_a_summary_that_shrinks_nothing_is_a_typed_overflow() -> None:
    history = turns(30, said=2_500)
    summarizer = Summarizer("blah " * 40_000)
    with pytest.raises(ProviderError) as failed:
        await compactor(history, summarizer).fit(history)
    assert (failed.value.code, len(summarizer.asked)) == ("context_overflow", 2)


async def test_a_prompt_beyond_the_window_is_a_typed_overflow_at_once() -> None:
    history: list[Message] = [user("word " * 100_000)]
    summarizer = Summarizer()
    with pytest.raises(ProviderError) as failed:
        await compactor(history, summarizer).fit(history)
    assert (failed.value.code, summarizer.asked) == ("context_overflow", [])


async def test_one_giant_output_in_the_last_turn_is_shortened_in_the_second_attempt() -> None:
    history = turns(1, output=200_000)
    fitted = await compactor(history, Summarizer()).fit(history)
    assert len(outputs(fitted.messages)[0]) <= 1_000


async def test_an_overflow_reported_by_the_provider_is_compacted_further() -> None:
    history = turns(8, said=1_000)
    fitting = compactor(history, Summarizer())
    assert (await fitting.fit(history)).notice is None
    before, after = tokens((await fitting.fit(history, force=True)).notice)
    assert after <= before * 2 // 3


async def test_calls_are_never_separated_from_their_results_even_in_a_cut_history() -> None:
    history = [*turns(30, said=2_500), model(call("cut"))]
    fitted = await compactor(history, Summarizer()).fit(history)
    normalized = normalize(fitted.messages)
    calls = [b.id for m in normalized.messages for b in m.blocks if isinstance(b, ToolCall)]
    results = [b.id for m in normalized.messages for b in m.blocks if isinstance(b, ToolResult)]
    assert calls == results and calls[-1] == "cut"


async def test_a_summary_that_overflows_itself_ends_in_a_typed_overflow() -> None:
    history = turns(30, said=2_500)
    asked = 0

    async def overflowing(messages: list[Message]) -> str:
        nonlocal asked
        asked += 1
        await fitting.fit(messages, force=True)  # as after a call that the provider refused as too long
        return "never"

    estimator = Estimator()
    estimator.replaced(history)
    fitting = Compactor(limits=lambda: LIMITS, estimator=estimator, summarize=overflowing)
    with pytest.raises(ProviderError) as failed:
        await fitting.fit(history)
    assert (failed.value.code, asked) == ("context_overflow", 2)


async def test_a_document_becomes_its_text_before_anything_is_summarized() -> None:
    history = [user("Sum up.", pdf(pages=2 * WINDOW // IMAGE_TOKENS)), *turns(1)[1:]]
    estimator = Estimator(reads=lambda document: True)
    estimator.replaced(history)
    summarizer = Summarizer()
    fitting = Compactor(limits=lambda: LIMITS, estimator=estimator, summarize=summarizer)
    fitted = await fitting.fit(history)
    assert fitted.messages == [user("Sum up.", "the text"), *turns(1)[1:]]
    assert tokens(fitted.notice)[0] > 2 * WINDOW and not summarizer.asked


async def test_the_token_count_of_the_provider_decides_and_compaction_terminates() -> None:
    summarizer = Summarizer()
    history = turns(6)
    fitting = compactor(history, summarizer)
    reported = 0
    with pytest.raises(ProviderError) as failed:
        for number in range(10):
            turn = model(call(f"new{number}", n=number))
            fitting._estimator.observe(Usage(input_tokens=WINDOW, output_tokens=10), turn)
            history = [*history, turn, user(result(f"new{number}"))]
            fitting._estimator.add(history[-1])
            fitted = await fitting.fit(history)
            before, after = tokens(fitted.notice)
            assert before > fitting.budget >= after
            history, reported = fitted.messages, reported + 1
    assert (failed.value.code, reported) == ("context_overflow", 2)
    assert "does not help" in str(failed.value)


async def test_new_growth_can_be_compacted_repeatedly() -> None:
    history = turns(1)
    fitting = compactor(history, Summarizer())
    for number in range(6):
        turn = model(call(f"new{number}"))
        fitting._estimator.observe(Usage(input_tokens=3_000, output_tokens=10), turn)
        history = [*history, turn, user(result(f"new{number}", "z" * 60_000))]
        fitting._estimator.add(history[-1])
        history = (await fitting.fit(history)).messages
    assert outputs(history)[-1].startswith("zzz")
