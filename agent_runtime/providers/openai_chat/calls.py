"""The Chat Completions format: the tool calls of a turn, put together from their pieces in whichever dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent_runtime.agent.model import Delta
from agent_runtime.protocol.messages import ToolCall, parse_arguments
from agent_runtime.providers.wire_parts import Ids, Pieces, object_of, text_of, tool_call

_RETURNED = ("extra_content", "provider_specific_fields")  # what some want back as it came


@dataclass
class _Call:
    """A call that is being built. `more` holds what a provider wants back with it (a thought signature)."""

    id: str
    given: str
    name: str = ""
    arguments: Pieces = field(default_factory=Pieces)
    more: dict[str, Any] = field(default_factory=dict)


class Calls:
    """The calls of one turn, in the order in which they began."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._calls: list[_Call] = []
        self._by_index: dict[Any, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, delta: dict[str, Any]) -> Iterator[Delta]:
        """The next piece of a call."""
        function = object_of(delta.get("function"))
        name, given = text_of(function.get("name")), text_of(delta.get("id"))
        call = self._find(delta.get("index"), given, name)
        if call is None:
            call = _Call(self._ids.take(given), given)
            self._calls.append(call)
        if delta.get("index") is not None:
            self._by_index[delta["index"]] = call
        call.name = call.name or name
        call.more |= {key: delta[key] for key in _RETURNED if delta.get(key)}
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # some give the object itself
            arguments = json.dumps(arguments, ensure_ascii=False)
        if shown := call.arguments.add(text_of(arguments)):
            yield Delta("tool_input", shown, call.id)

    def end(self) -> Iterator[Delta]:
        """No more pieces: what was held back."""
        for call in self._calls:
            if rest := call.arguments.end():
                yield Delta("tool_input", rest, call.id)

    def blocks(self, *, is_cut: bool) -> Iterator[ToolCall]:
        """The calls as we have them. `is_cut`: the answer was cut, and the last call may be a fragment."""
        for call in self._calls:
            text = call.arguments.text
            truncated = is_cut and (call is self._calls[-1] or parse_arguments(text) is None)
            yield tool_call(call.id, call.name, text, truncated=truncated)

    def native(self) -> list[dict[str, Any]]:
        """The calls as the provider would have given them whole."""
        return [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments.text},
                **call.more,
            }
            for call in self._calls
        ]

    def _find(self, index: object, given: str, name: str) -> _Call | None:
        """The call that a piece belongs to; None when it begins a new one.

        Providers leave out the index, the id, or both; send the same index for every call, or an id with
        every piece.
        """
        if index is not None:
            known = self._by_index.get(index)
        elif given:
            return next((call for call in self._calls if call.given == given), None)
        else:
            known = self._calls[-1] if self._calls else None
        if known is None or not name:
            return known
        if given and known.given:
            return known if given == known.given else None
        said = known.arguments.text
        is_whole = bool(said.strip()) and parse_arguments(said) is not None
        return None if known.name and (known.name != name or is_whole) else known
