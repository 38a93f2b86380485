"""The Chat Completions format: the tool calls of a turn, assembled from their pieces in all known dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import Any

from agent_runtime.agent.model import Delta
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import ToolCall, parse_arguments
from agent_runtime.providers.call_ids import Ids
from agent_runtime.providers.wire_parts import ArgumentPieces, object_of, text_of, tool_call

_RETURNED = ("extra_content", "provider_specific_fields")  # fields that some providers expect back unchanged


@dataclass(frozen=True)
class _Piece:
    """One entry of `tool_calls`."""

    choice: int
    index: object
    given: str
    name: str
    arguments: str
    more: dict[str, Any]

    @classmethod
    def of(cls, entry: dict[str, Any], choice: int) -> _Piece:
        function = object_of(entry.get("function"))
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # some providers send the object itself
            arguments = json.dumps(arguments, ensure_ascii=False)
        index = entry.get("index")
        more = {key: entry[key] for key in _RETURNED if entry.get(key)}
        return cls(
            choice,
            index if isinstance(index, int | str) else None,
            text_of(entry.get("id")),
            text_of(function.get("name")),
            text_of(arguments),
            more,
        )


@dataclass(eq=False)
class _Call:
    """A call that is being assembled.

    given: the provider's id. late: it began when the answer was already complete. more: what the provider expects back
    with it, such as a thought signature.
    """

    id: str
    given: str
    choice: int
    index: object
    late: bool
    name: str = ""
    arguments: ArgumentPieces = field(default_factory=ArgumentPieces)
    more: dict[str, Any] = field(default_factory=dict)

    def does_the_same(self, name: str, arguments: str) -> bool:
        """Return whether this call has this name and equivalent arguments."""
        if name != self.name:
            return False
        own, other = parse_arguments(self.arguments.text), parse_arguments(arguments)
        return own == other if own is not None else self.arguments.text == arguments

    def is_repeated_by(self, other: _Call) -> bool:
        """Return whether the other call repeats this one. An id (or a place, without ids) is used for one call."""
        is_same_place = self.given == other.given and (bool(self.given) or self.index == other.index)
        if not self.does_the_same(other.name, other.arguments.text):
            return is_same_place and self.name == other.name and not other.arguments.text.strip()
        return is_same_place or other.late or other.choice != self.choice


class Calls:
    """The calls of one turn, in the order in which they began.

    A call is found by its id, then by its index, then as the last one. Each of these may be missing, rotate with every
    piece, or be the same for all calls.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._begun: list[_Call] = []
        self._by_index: dict[tuple[int, object], _Call] = {}
        self._last: dict[int, _Call] = {}  # of each choice: the call that the last piece belonged to

    def take(self, entry: dict[str, Any], choice: int = 0, *, late: bool = False) -> Iterator[Delta]:
        """The next piece of a call. `late`: the provider has already said why it stopped."""
        piece = _Piece.of(entry, choice)
        call = self._find(piece) or self._begin(piece, late=late)
        if piece.index is not None:
            self._by_index[choice, piece.index] = call
        self._last[choice] = call
        call.name = call.name or piece.name
        call.more |= piece.more
        if new := call.arguments.add(piece.arguments):
            yield Delta("tool_input", new, call.id)

    def merge(self, entries: Sequence[dict[str, Any]], choice: int = 0) -> Iterator[Delta]:
        """The calls of a whole message: those that no piece has brought are added."""
        unmatched = list(self._begun)
        for entry in entries:
            piece = _Piece.of(entry, choice)
            call = _match(unmatched, piece)
            if call is None:
                call = self._begin(piece, late=False)
            else:
                unmatched.remove(call)
            call.name = call.name or piece.name
            call.more |= piece.more
            if call.arguments.is_whole or parse_arguments(piece.arguments) is None:
                continue
            if rest := call.arguments.complete(piece.arguments):
                yield Delta("tool_input", rest, call.id)

    def end(self) -> Iterator[Delta]:
        """No more pieces: what was held back."""
        for call in self._begun:
            if rest := call.arguments.end():
                yield Delta("tool_input", rest, call.id)

    @property
    def _calls(self) -> list[_Call]:
        """Every call once."""
        calls: list[_Call] = []
        for call in self._begun:
            if not any(known.is_repeated_by(call) for known in calls):
                calls.append(call)
        return calls

    def blocks(self, *, is_cut: bool) -> Iterator[ToolCall]:
        """The calls as our blocks. `is_cut`: the answer was cut, and the last call may be a fragment."""
        calls = self._calls
        for call in calls:
            text = call.arguments.text
            truncated = is_cut and (call is calls[-1] or parse_arguments(text) is None)
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

    def __bool__(self) -> bool:
        return bool(self._begun)

    def _begin(self, piece: _Piece, *, late: bool) -> _Call:
        call = _Call(self._ids.take(piece.given), piece.given, piece.choice, piece.index, late)
        self._begun.append(call)
        return call

    def _find(self, piece: _Piece) -> _Call | None:
        """The call that a piece belongs to; None when the piece begins a new one."""
        own = [call for call in self._begun if call.choice == piece.choice]
        by_id = next((call for call in reversed(own) if piece.given and call.given == piece.given), None)
        if piece.index is not None:
            by_place = self._by_index.get((piece.choice, piece.index))
        else:
            by_place = self._last.get(piece.choice)
        if by_id is None and piece.name and piece.given and piece.index is None:
            return None
        if by_place is None and by_id is None and not (piece.name or piece.given):
            by_place = self._last.get(piece.choice)  # an index that changes with every piece
        known = by_id or by_place
        if by_id and by_place and by_place.given == piece.given:
            known = by_place  # one id for all calls
        return None if known is None or _begins_anew(known, piece) else known


def _begins_anew(known: _Call, piece: _Piece) -> bool:
    """Return whether this is the first piece of another call. Some providers repeat the name with every piece."""
    if not piece.name or not known.name:
        return False
    if piece.name != known.name:
        return True
    has_same_id = bool(piece.given) and piece.given == known.given
    if has_same_id and piece.index != known.index:
        return True
    has_other_id = bool(piece.given and known.given) and not has_same_id
    if known.arguments.is_whole:
        return not (has_same_id and known.arguments.text.strip() == "{}")
    if not piece.arguments.strip():
        return has_other_id
    # an id that changes with every piece of a call, or another call
    return has_other_id and bool(known.arguments.text) and piece.arguments.lstrip().startswith("{")


def _match(calls: Sequence[_Call], piece: _Piece) -> _Call | None:
    """The call of a stream that a whole message repeats: by its id and what it does, by its id, or by what it does."""
    same = [call for call in calls if call.does_the_same(piece.name, piece.arguments)]
    with_id = [call for call in calls if piece.given and call.given == piece.given]
    both = [call for call in with_id if call in same]
    if not with_id and not piece.given:  # a fragment of the same call
        same += [call for call in calls if call.name == piece.name and not call.arguments.is_whole]
    return next(iter([*both, *with_id, *same]), None)
