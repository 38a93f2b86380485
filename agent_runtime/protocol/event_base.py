"""What every event has in common: its envelope, and fields that are there only when they say something."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import Field

from agent_runtime.protocol.messages import Frozen

T = TypeVar("T")


def _absent(value: object) -> bool:
    return value is None


Maybe = Annotated[T | None, Field(exclude_if=_absent)]


class Event(Frozen):
    """The envelope: `seq` counts from 0 without gaps, `ts` is RFC 3339 UTC with milliseconds.

    `truncated` says that something in the event was cut; the whole is in `output_file`.
    """

    seq: int = -1
    ts: str = ""
    run_id: str = ""
    truncated: Maybe[bool] = None
    output_file: Maybe[str] = None
