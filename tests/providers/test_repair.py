"""A refused call is repaired at most twice, and the repair is kept only when it has helped."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent_runtime.agent.model import Delta, ModelCall, OnDelta, Repair, Turn
from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.protocol.messages import AssistantMessage, Text, UserMessage
from agent_runtime.providers.repair import RepairingModel

pytestmark = pytest.mark.anyio

CALL = ModelCall("m", "", (UserMessage.of("as asked"),))
REPAIRED = ModelCall("m", "", (UserMessage.of("repaired"),))
TURN = Turn(AssistantMessage(blocks=(Text(text="done"),)), "end_turn", None)


def refused(code: ErrorCode = "provider_error") -> ProviderError:
    return ProviderError(code, "refused", retryable=False, status=400)


@dataclass
class Scripted:
    """A model that raises or returns what is next, and a conversation that offers one repair."""

    script: list[ProviderError | Turn]
    offer: Repair | ProviderError | None = field(default_factory=lambda: Repair(REPAIRED))
    calls: list[ModelCall] = field(default_factory=list)
    accepted: list[Repair] = field(default_factory=list)
    again: list[bool] = field(default_factory=list)

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        self.calls.append(call)
        step = self.script.pop(0)
        if isinstance(step, ProviderError):
            raise step
        return step

    async def repair(self, call: ModelCall, error: ProviderError, *, again: bool = False) -> Repair | None:
        self.again.append(again)
        if isinstance(self.offer, ProviderError):
            raise self.offer
        return self.offer

    async def accept(self, repair: Repair) -> None:
        self.accepted.append(repair)


async def ignore(delta: Delta) -> None:
    raise AssertionError("no deltas here")


async def test_a_repaired_call_that_succeeds_is_accepted() -> None:
    scripted = Scripted([refused(), TURN])
    assert await RepairingModel(scripted, scripted).turn(CALL, ignore) is TURN
    assert scripted.calls == [CALL, REPAIRED]
    assert scripted.accepted == [scripted.offer]


async def test_a_repaired_call_that_fails_too_is_not_accepted() -> None:
    last = refused()
    scripted = Scripted([refused(), refused(), last, TURN])
    with pytest.raises(ProviderError) as caught:
        await RepairingModel(scripted, scripted).turn(CALL, ignore)
    assert caught.value is last
    assert scripted.calls == [CALL, REPAIRED, REPAIRED]
    assert (scripted.accepted, scripted.again) == ([], [False, True])


async def test_a_history_that_was_compacted_is_not_compacted_again_for_the_same_call() -> None:
    second = refused("context_overflow")
    scripted = Scripted([refused("context_overflow"), second, TURN])
    with pytest.raises(ProviderError) as caught:
        await RepairingModel(scripted, scripted).turn(CALL, ignore)
    assert caught.value is second
    assert (scripted.calls, scripted.accepted) == ([CALL, REPAIRED], [])


async def test_an_error_without_a_repair_is_raised() -> None:
    first = refused()
    scripted = Scripted([first, TURN], offer=None)
    with pytest.raises(ProviderError) as caught:
        await RepairingModel(scripted, scripted).turn(CALL, ignore)
    assert caught.value is first
    assert scripted.calls == [CALL]


async def test_a_failed_repair_is_in_the_details_of_the_provider_s_own_error() -> None:
    first = refused("context_overflow")
    scripted = Scripted([first, TURN], offer=ProviderError("context_overflow", "too long", retryable=False))
    with pytest.raises(ProviderError) as caught:
        await RepairingModel(scripted, scripted).turn(CALL, ignore)
    assert caught.value is first
    assert first.details["compaction"] == "too long"
