"""What every event has in common: its envelope, and optional fields that are left out when they are None."""

from __future__ import annotations

from typing import Annotated, TypeVar

from agent_runtime.models.base import Field
from agent_runtime.protocol.messages import Frozen

T = TypeVar("T")


def _absent(value: object) -> bool:
    return value is None


Maybe = Annotated[T | None, Field(exclude_if=_absent)]


class Event(Frozen):
    """The envelope: `seq` counts from 0 without gaps, `ts` is RFC 3339 UTC with milliseconds.

    `truncated` says that a text in the event was shortened; the whole is in `output_file`.
    """

    seq: int = -1
    ts: str = ""
    run_id: str = ""
    truncated: Maybe[bool] = None
    output_file: Maybe[str] = None
