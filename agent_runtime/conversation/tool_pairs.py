"""Pairs calls with their results: each call has exactly one, directly after its turn, under a unique id."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from math import inf

from agent_runtime.conversation import provider_items as natives
from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import AssistantMessage, Message, Text, ToolCall, ToolResult, UserMessage

INTERRUPTED = (
    "The run ended before this call finished; whether it took effect is unknown. "
    "Look at the present state before you repeat it."
)

_INVALID = lazy_pattern(r"[^A-Za-z0-9_-]")
_MAX_ID = 40  # Chat Completions' limit for tool_call_id, the strictest
# for ids that go back to the provider that made them; some gateways put a whole signature into an id
_MAX_OWN_ID = {"openai-responses": 64, "openai-chat": 4096}

Note = Callable[[str], None]


class _Results:
    # finds the result of each call: after its turn and before another turn uses the same id

    def __init__(self, messages: Sequence[Message]) -> None:
        self._by_id: dict[str, list[tuple[int, ToolResult]]] = defaultdict(list)
        self._turns: dict[str, list[int]] = defaultdict(list)
        self.left = 0
        for position, message in enumerate(messages):
            if isinstance(message, AssistantMessage):
                for id in {call.id for call in message.calls}:
                    self._turns[id].append(position)
                continue
            for block in message.blocks:
                if isinstance(block, ToolResult):
                    self._by_id[block.id].append((position, block))
                    self.left += 1

    def take(self, id: str, turn: int) -> ToolResult | None:
        until = min((p for p in self._turns[id] if p > turn), default=inf)
        for index, (position, result) in enumerate(self._by_id[id]):
            if turn < position < until:
                del self._by_id[id][index]
                self.left -= 1
                return result
        return None


def pair(messages: Sequence[Message], note: Note) -> list[Message]:
    """Put a message with the results of a turn's calls, in their order, directly after the turn; remove other
    results.
    """
    results = _Results(messages)
    seen: set[str] = set()
    paired: list[Message] = []
    for position, message in enumerate(messages):
        if isinstance(message, UserMessage):
            rest = tuple(block for block in message.blocks if not isinstance(block, ToolResult))
            if rest:
                paired.append(message if rest == message.blocks else UserMessage(blocks=rest))
            continue
        calls = message.calls
        if not calls:
            paired.append(message)
            continue
        answers = [_answer(call, results.take(call.id, position), note) for call in calls]
        turn = _with_valid_ids(message, calls, seen, note)
        paired.append(turn)
        named = zip(calls if turn is message else turn.calls, answers, strict=True)
        paired.append(UserMessage(blocks=tuple(_named(answer, call) for call, answer in named)))
    if results.left:
        note("results that belonged to no call were dropped")
    return paired


def _answer(call: ToolCall, result: ToolResult | None, note: Note) -> ToolResult:
    if result is not None:
        return result
    note("a call without a result got one that says so")
    return ToolResult(id=call.id, name=call.name, content=(Text(text=INTERRUPTED),), is_error=True)


def _named(result: ToolResult, call: ToolCall) -> ToolResult:
    names = {"id": call.id, "name": call.name, "freeform": call.freeform}
    same = (result.id, result.name, result.freeform) == (call.id, call.name, call.freeform)
    return result if same else result.model_copy(update=names)


def _with_valid_ids(
    turn: AssistantMessage, calls: Sequence[ToolCall], seen: set[str], note: Note
) -> AssistantMessage:
    """Make ids unique in the history, and valid for any provider unless they are sent back to their own."""
    old = [call.id for call in calls]
    own = turn.native if len(set(old)) == len(old) else None
    fresh: list[str] = []
    for id in old:
        fresh.append(_fresh_id(id, seen, _MAX_OWN_ID.get(own.format, 0) if own else 0))
        seen.add(portable_id(fresh[-1]))
    if fresh == old:
        return turn
    note("a call's id that was used twice, or that another provider would refuse, was changed")
    ids = iter(fresh)
    blocks = tuple(
        block.model_copy(update={"id": next(ids)}) if isinstance(block, ToolCall) else block
        for block in turn.blocks
    )
    native = own and natives.rename_calls(own, dict(zip(old, fresh, strict=True)))
    return turn.model_copy(update={"blocks": blocks, "native": native})


def _fresh_id(id: str, seen: set[str], own_limit: int) -> str:
    valid = id if 0 < len(id) <= own_limit else portable_id(id)[:_MAX_ID] or "call"
    if portable_id(valid) not in seen:
        return valid
    stem = portable_id(valid)[: _MAX_ID - 8]
    return next(name for n in itertools.count(2) if (name := f"{stem}-{n}") not in seen)


def portable_id(id: str) -> str:
    """Return the id in characters that every provider accepts: a fallback may send the history to another one."""
    return _INVALID.sub("_", id)
