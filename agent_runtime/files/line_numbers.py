"""Lines of a file as the model is shown them: numbered, long ones cut, the whole bounded."""

from __future__ import annotations

from collections.abc import Sequence

from agent_runtime.protocol.messages import clean_text

LINE_LIMIT = 2_000  # characters of a line that are shown when others are shown with it


def clip(line: str, limit: int = LINE_LIMIT) -> str:
    """A line of at most `limit` characters, and how many were left out."""
    if len(line) <= limit:
        return line
    return f"{line[:limit]}... [{len(line) - limit:,} more characters]"


def visible(text: str) -> str:
    """Text that may be sent: bytes that are no characters become U+FFFD, NUL its symbol."""
    return clean_text(text).replace("\0", "\u2400")


def numbered(lines: Sequence[str], first: int = 1, limit: int = LINE_LIMIT) -> str:
    """As `cat -n`: the number, a tab, the line."""
    return "\n".join(f"{first + i:6}\t{visible(clip(line, limit))}" for i, line in enumerate(lines))


def around(lines: Sequence[str], start: int, end: int, context: int = 4, most: int = 40) -> str:
    """Lines start..end (from 0, end not included) with some around them; of many the middle is left out."""
    low, high = max(0, start - context), min(len(lines), end + context)
    if high - low <= most:
        return numbered(lines[low:high], low + 1, 500)
    half = most // 2
    left_out = f"       [lines {low + half + 1}-{high - half} not shown]"
    return "\n".join(
        (
            numbered(lines[low : low + half], low + 1, 500),
            left_out,
            numbered(lines[high - half : high], high - half + 1, 500),
        )
    )


def ranges(numbers: Sequence[int], most: int = 2_000) -> str:
    """Line numbers in words: "3", "3 and 17", "3, 17 and 20"."""
    shown = [str(number) for number in numbers[:most]]
    if len(numbers) > most:
        shown.append(f"{len(numbers) - most:,} more")
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def extent(low: int, high: int) -> str:
    """Lines `low` to `high` (included), in words: "line 3", "lines 3-5"."""
    return f"line {low}" if low >= high else f"lines {low}-{high}"


def fitted(lines: Sequence[str], first: int, budget: int) -> tuple[str, int]:
    """As many numbered lines as fit `budget` bytes (one at least), and how many they are."""
    limit = LINE_LIMIT if len(lines) > 1 else max(LINE_LIMIT, budget // 2)
    out: list[str] = []
    for i, line in enumerate(lines):
        shown = numbered([line], first + i, limit)
        budget -= len(shown.encode()) + 1
        if budget < 0 and out:
            break
        out.append(shown)
    return "\n".join(out), len(out)
