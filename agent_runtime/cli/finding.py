"""The result of one check of `doctor`."""

from __future__ import annotations

from typing import Literal

from agent_runtime.lazy import dataclass


@dataclass(frozen=True)
class Finding:
    """A check and its result.

    Args:
        name: what was checked.
        ok: whether the requirement is met.
        required: whether a run fails without it.
        fact: what was found.
        advice: what to do when it is not ok.
    """

    name: str
    ok: bool
    required: bool
    fact: str
    advice: str = ""

    @property
    def status(self) -> Literal["ok", "MISSING", "note"]:
        """The status in the report."""
        return "ok" if self.ok else "MISSING" if self.required else "note"
