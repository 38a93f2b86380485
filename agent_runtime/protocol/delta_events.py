"""The events that are written on request only: pieces of what is under way (`--partial`), and signs of life."""

from __future__ import annotations

from typing import Literal

from agent_runtime.protocol.event_base import Event, Maybe


class Piece(Event):
    """A piece of something that is being written; the pieces of one turn, one type and one `id` add up to it.

    `restart`: what came before this piece was of an attempt that broke off, and is void; the text begins with it.
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
    """Nothing else was written for a while: what is awaited, and since when (RFC 3339)."""

    type: Literal["heartbeat"] = "heartbeat"
    awaiting: Literal["model", "tool", "resume", "retry"]
    since: str
