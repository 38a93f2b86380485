"""Ids of calls are unique in their conversation, whatever providers and gateways send."""

from __future__ import annotations

import pytest

from agent_runtime.protocol.messages import AssistantMessage, Message, ToolCall, UserMessage
from agent_runtime.providers.call_ids import Ids, KnownIds


def turn(*ids: str) -> AssistantMessage:
    return AssistantMessage(
        blocks=tuple(ToolCall(id=id, name="bash", arguments="{}", input={}) for id in ids)
    )


def test_a_conversation_that_grows_knows_the_ids_of_all_its_turns() -> None:
    known = KnownIds()
    messages: list[Message] = [UserMessage.of("go"), turn("a", "b")]
    assert set(known.of(messages)) == {"a", "b"}
    messages += [UserMessage.of("more"), turn("c")]
    assert set(known.of(messages)) == {"a", "b", "c"}


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_ids_of_messages_that_have_gone_are_free_again(kept: int) -> None:
    known, messages = KnownIds(), list[Message]([UserMessage.of("go"), turn("a"), turn("b"), turn("c")])
    known.of(messages)
    shorter = messages[: 1 + kept]
    assert set(known.of(shorter)) == set("abc"[:kept])


def test_ids_that_one_answer_took_are_free_for_the_next_attempt() -> None:
    known, messages = KnownIds(), [turn("a")]
    assert Ids(known.of(messages)).take("b") == "b"
    assert Ids(known.of(messages)).take("b") == "b"


@pytest.mark.parametrize("id", ["a", "taken", "", None, 7])
def test_an_id_that_cannot_be_used_is_replaced(id: object) -> None:
    ids = Ids({"a", "call_000001"})
    ids.take("taken")
    assert ids.take(id) == "call_000002"
    assert ids.take(id) == "call_000003"
