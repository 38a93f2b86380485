"""A conversation stores what a repair changed only once the repair has helped, and follows the model in use."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent_runtime.agent.model import ModelCall, ToolSpec, Turn
from agent_runtime.conversation.compaction import Compactor, ContextLimits
from agent_runtime.conversation.conversation import Conversation
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.conversation.tokens import IMAGE_TOKENS, Estimator
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.events import NoticeEvent
from agent_runtime.protocol.messages import Message, Usage
from tests.conversation.messages import call, model, native, pdf, result, user

pytestmark = pytest.mark.anyio

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}
SIGNED = model(call(), native=native(THOUGHT, {"type": "tool_use", "id": "c1", "name": "bash", "input": {}}))
HISTORY: list[Message] = [user("go"), SIGNED, user(result())]


class Stored(InitialHistory):
    """Keeps what would be stored in a thread."""

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__(messages=list(messages))
        self.stored: list[list[Message]] = []

    def replace(self, messages: Sequence[Message]) -> None:
        self.stored.append(list(messages))


class Fixture:
    """A conversation whose model can be changed."""

    def __init__(self) -> None:
        self.limits = ContextLimits(100_000, 1_000)
        self.tools: list[ToolSpec] = []
        self.history = Stored(HISTORY)
        self.notices: list[NoticeEvent] = []
        estimator = Estimator(tools=lambda: self.tools, reads=lambda document: self.limits.model == 0)
        self.compactor = Compactor(limits=lambda: self.limits, estimator=estimator, summarize=self._summarize)
        self.conversation = Conversation(
            template=ModelCall("m", "sys", ()),
            limits=lambda: self.limits,
            estimator=estimator,
            compactor=self.compactor,
            history=self.history,
            notify=self._notify,
        )

    async def _summarize(self, messages: list[Message]) -> str:
        return "summary"

    async def _notify(self, notice: NoticeEvent) -> None:
        self.notices.append(notice)


def refused(message: str) -> ProviderError:
    return ProviderError("provider_error", message, retryable=False, status=400)


async def test_a_repair_is_stored_when_it_is_accepted() -> None:
    fixture = Fixture()
    sent = await fixture.conversation.call()
    repair = await fixture.conversation.repair(sent, refused("messages.1.content.0: Invalid `signature`"))
    assert repair is not None and repair.call.messages[1] == model(call())
    assert (fixture.history.stored, fixture.conversation.messages) == ([], HISTORY)
    assert (await fixture.conversation.call()).messages[1] == SIGNED
    await fixture.conversation.accept(repair)
    assert fixture.history.stored == [[user("go"), model(call()), user(result())]]
    assert (await fixture.conversation.call()).messages[1] == model(call())
    assert [notice.code for notice in fixture.notices] == ["history_repaired"]


@pytest.mark.parametrize(
    "message",
    [
        "output_config.effort: 'max' is not supported when thinking is disabled",
        "tools[0].parameters.properties[x].items: missing field",
        "Invalid schema for function 'view_image'",
    ],
)
async def test_an_unrelated_refusal_repairs_nothing(message: str) -> None:
    fixture = Fixture()
    sent = await fixture.conversation.call()
    assert await fixture.conversation.repair(sent, refused(message)) is None
    assert (fixture.history.stored, fixture.notices) == ([], [])


async def test_a_fallback_to_a_smaller_model_changes_the_window_and_what_fits() -> None:
    fixture = Fixture()
    before = fixture.compactor.budget
    fixture.limits = ContextLimits(8_192, 1_000)
    assert fixture.conversation.context[1] == 8_192
    assert 0 < fixture.compactor.budget < 8_192 < before
    for number in range(9):
        turn = Turn(model(call(f"c{number}x")), "tool_calls", None)
        fixture.conversation.add(turn)
        fixture.conversation.add(user(result(f"c{number}x", "word " * 1_000)))
    await fixture.conversation.call()
    assert [notice.code for notice in fixture.notices] == ["context_compacted"]


async def test_a_call_is_made_again_for_a_smaller_model() -> None:
    fixture = Fixture()
    for number in range(9):
        fixture.conversation.add(Turn(model(call(f"c{number}x")), "tool_calls", None))
        fixture.conversation.add(user(result(f"c{number}x", "word " * 1_000)))
    sent = await fixture.conversation.call()
    same = await fixture.conversation.refit(sent)
    assert same == sent and not fixture.notices
    fixture.limits = ContextLimits(8_192, 1_000, model=1)
    summary = ModelCall("m", "", (user("sum up"),))
    assert await fixture.conversation.refit(summary) is summary and not fixture.notices
    shorter = await fixture.conversation.refit(same)
    assert [notice.code for notice in fixture.notices] == ["context_compacted"]
    assert len(str(shorter.messages)) < len(str(sent.messages)) / 2
    assert (await fixture.conversation.call()).messages == shorter.messages
    with pytest.raises(ProviderError, match="nothing in it can be shortened"):
        fixture.limits = ContextLimits(10, 1, model=2)
        await fixture.conversation.call()


@pytest.mark.parametrize("change", ["documents", "tools"])
async def test_another_model_is_estimated_with_what_it_gets(change: str) -> None:
    fixture = Fixture()
    if change == "documents":
        fixture.conversation.add(user(pdf(pages=3)))
    else:
        fixture.tools = [ToolSpec("search", "x" * 4_000, {})]
    fixture.conversation.add(Turn(model("ok"), "end_turn", Usage(input_tokens=9_000, output_tokens=10)))
    assert fixture.conversation.context == (9_010, 100_000)
    fixture.limits = ContextLimits(50_000, 1_000, model=1)
    await fixture.conversation.call()
    tokens, window = fixture.conversation.context
    assert window == 50_000
    assert tokens < 9_010 - 3 * IMAGE_TOKENS if change == "documents" else tokens > 1_000
