"""Truncating texts: the beginning and the end are kept, and a marker between them says what is missing."""

from __future__ import annotations

_MARKER_BYTES = 64  # reserved for the marker of `truncate_middle`


def truncate_middle(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8, its middle replaced by a marker that names the bytes cut.

    With a `limit` below 64, only the marker is returned.
    """
    size = len(_encode(text))
    if size <= limit:
        return text
    head, tail = split_ends(text, text, limit - _MARKER_BYTES)
    missing = size - len(_encode(head)) - len(_encode(tail))
    return join_ends(head, tail, f"{missing} bytes cut here")


def split_ends(head: str, tail: str, limit: int) -> tuple[str, str]:
    """The first bytes of `head` and the last bytes of `tail`, together at most `limit` bytes of UTF-8.

    Both are whole lines where that costs less than half of them, and whole characters always. `head` and `tail` may be
    the same text.
    """
    half = max(limit // 2, 0)
    first, data = _encode(head)[:half], _encode(tail)
    last = data[max(len(data) - half, 0) :]
    end, begin = first.rfind(b"\n") + 1, last.find(b"\n") + 1
    if end > half // 2:
        first = first[:end]
    if 0 < begin < half // 2:
        last = last[begin:]
    return first.decode("utf-8", "ignore"), last.decode("utf-8", "ignore")


def join_ends(head: str, tail: str, missing: str) -> str:
    """Head and tail with a line between them that says what is `missing`."""
    separator = "\n" if head and not head.endswith("\n") else ""
    return f"{head}{separator}[... {missing} ...]\n{tail}"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a lone surrogate becomes "?"
