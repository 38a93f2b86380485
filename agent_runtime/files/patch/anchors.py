"""The `@@` lines of a patch: lines of the file that come before a hunk, such as its class and its method."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from agent_runtime.errors import ToolError
from agent_runtime.files.line_match import Lines, fold
from agent_runtime.files.patch.model import Hunk
from agent_runtime.files.similar import describe


class Anchors:
    """Finds anchors in the lines of a file. `display` is its path in messages."""

    def __init__(self, lines: Lines, display: str) -> None:
        self._lines = lines
        self._display = display

    def find(self, anchors: Sequence[str]) -> list[int]:
        """Return the lines (from 0) of the last anchor: for each place of one, the first place of the next after it."""
        places: list[int] | None = None
        for anchor in anchors:
            found = self._places(anchor)
            if places is None:
                places = found
            else:
                following = (next((p for p in found if p > place), None) for place in places)
                places = sorted({place for place in following if place is not None})
        return places or []

    def require(self, hunk: Hunk) -> list[int]:
        """Return the lines of the anchors of a hunk. Raises ToolError when there are none."""
        places = self.find(hunk.anchors)
        if not places:
            anchor = hunk.anchors[-1]
            raise ToolError(
                f"{self._display}: {hunk.label}: no line of the file is `{anchor}` (after the `@@` lines before it). "
                f"Nothing was changed.\n{describe(self._lines.exact, [anchor])}"
            )
        return places

    def _places(self, anchor: str) -> list[int]:
        wanted = fold(anchor).strip()
        whole = [i for i, line in enumerate(self._stripped) if line == wanted]
        return whole or [i for i, line in enumerate(self._stripped) if line.startswith(wanted)]

    @cached_property
    def _stripped(self) -> list[str]:
        return [fold(line).strip() for line in self._lines.exact]
