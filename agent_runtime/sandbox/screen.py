"""What is on the screen of a program that draws on it: an editor, a pager, a menu."""

from __future__ import annotations

import re

# cursor addressing, moves up, clearing of the screen, the alternate screen: text that is no longer in lines
_DRAWS = re.compile(rb"\x1b\[(?:\d*;?\d*[HfAFd]|[0-3]?J|\?(?:1049|47|1047)[hl])")

_PRIVATE = re.compile(
    rb"\x1b\[[<=>][^@-~]*[@-~]|\x1b\[\?[\d;]*[^hl\d;]"
)  # queries and modes that pyte trips over


def draws(data: bytes) -> bool:
    """Does this output place its text on a screen?"""
    return _DRAWS.search(data) is not None


def render(data: bytes, *, rows: int, columns: int) -> str:
    """The screen after this output, as text, without trailing blanks and empty lines at its end."""
    data = _PRIVATE.sub(b"", data)
    import pyte  # only sessions with drawing programs need it

    screen = pyte.Screen(columns, rows)
    pyte.ByteStream(screen).feed(data)
    return "\n".join(line.rstrip() for line in screen.display).rstrip("\n")
