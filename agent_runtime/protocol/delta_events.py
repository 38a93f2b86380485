"""The events that are written on request only: deltas (`--partial`) and heartbeats (`--heartbeat`)."""

from __future__ import annotations

from typing import Literal

from agent_runtime.protocol.event_base import Event, Maybe


class Piece(Event):
    """A piece of a text that is being produced; the pieces of one turn, type and `id` add up to the whole text.

    `restart`: the earlier pieces came from a failed attempt and are to be discarded; the text begins again with this
    one.
    """

    delta: str
    restart: Maybe[bool] = None
    turn: int


class TextDeltaEvent(Piece):
    """A piece of the model's text, with `--partial` only."""

    type: Literal["text_delta"] = "text_delta"


class ThinkingDeltaEvent(Piece):
    """A piece of the model's reasoning, with `--partial` only."""

    type: Literal["thinking_delta"] = "thinking_delta"


class ToolInputDeltaEvent(Piece):
    """A piece of a call's arguments, with `--partial` only."""

    type: Literal["tool_input_delta"] = "tool_input_delta"
    id: str


class ToolOutputDeltaEvent(Piece):
    """A piece of a tool's output, with `--partial` only."""

    type: Literal["tool_output_delta"] = "tool_output_delta"
    id: str


class HeartbeatEvent(Event):
    """Sent when no other event was written for a while: what the run waits for, and since when (RFC 3339)."""

    type: Literal["heartbeat"] = "heartbeat"
    awaiting: Literal["model", "tool", "resume", "retry"]
    since: str
