"""The pieces of one turn as a reader receives them, over all attempts that the turn takes."""

from __future__ import annotations

from dataclasses import field

from agent_runtime.agent.model import Delta, DeltaKind, OnDelta, Turn
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import ToolCall


@dataclass
class _Text:
    """One text of the turn. `before`: what the reader has, as long as an attempt only repeats it."""

    pieces: list[str] = field(default_factory=list)  # of this attempt
    before: str = ""
    repeated: int = 0  # characters of `before`

    def again(self) -> None:
        self.before = self.before or "".join(self.pieces)
        self.pieces, self.repeated = [], 0

    def take(self, piece: str) -> tuple[str, bool]:
        """Return the part of the piece that the reader lacks, and whether the text restarts with it."""
        self.pieces.append(piece)
        if not self.before:
            return piece, False
        if self.before.startswith(piece, self.repeated):
            self.repeated += len(piece)
            return "", False
        text, before = "".join(self.pieces), self.before
        self.before = ""
        return (text[len(before) :], False) if text.startswith(before) else (text, True)

    @property
    def has(self) -> str:
        """The text that the reader has received."""
        return self.before or "".join(self.pieces)


class DeltaMerger:
    """Passes on the pieces of a turn. What an attempt repeats of the one before it is not passed on twice.

    Where an attempt differs, the piece has `restart` set: it replaces all that the reader has of that text. So the
    pieces since the last restart are exactly the text of the turn, even when attempts broke off.
    """

    def __init__(self, on_delta: OnDelta) -> None:
        self._on_delta = on_delta
        self._texts: dict[tuple[DeltaKind, str], _Text] = {}

    def begin(self) -> OnDelta:
        """The sink of the next attempt."""
        for text in self._texts.values():
            text.again()
        return self._take

    async def _take(self, delta: Delta) -> None:
        piece, restart = self._texts.setdefault((delta.kind, delta.id), _Text()).take(delta.text)
        if piece:
            await self._on_delta(Delta(delta.kind, piece, delta.id, restart))

    async def settle(self, turn: Turn) -> None:
        """Complete the texts of the turn: withdraw what only an earlier attempt had, add what no piece contained."""
        final = _texts(turn)
        for kind, id in dict.fromkeys([*self._texts, *final]):
            whole = final.get((kind, id), "")
            has = self._texts[kind, id].has if (kind, id) in self._texts else ""
            if has != whole:
                is_more = whole.startswith(has)
                await self._on_delta(Delta(kind, whole[len(has) :] if is_more else whole, id, not is_more))


def _texts(turn: Turn) -> dict[tuple[DeltaKind, str], str]:
    """The texts of the turn, by the kind and id of their pieces."""
    texts: dict[tuple[DeltaKind, str], str] = {}
    for block in turn.message.blocks:
        if isinstance(block, ToolCall):
            texts["tool_input", block.id] = block.arguments
        else:
            texts[block.type, ""] = texts.get((block.type, ""), "") + block.text
    return texts
