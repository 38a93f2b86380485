"""Lines of a file as the model sees them: numbered, long ones cut, the whole bounded."""

from __future__ import annotations

from collections.abc import Sequence

from agent_runtime.protocol.messages import clean_text

LINE_LIMIT = 2_000  # characters of a line, unless it is the only one


def clip(line: str, limit: int = LINE_LIMIT) -> str:
    """Return at most `limit` characters of a line, and a note of how many are left out."""
    if len(line) <= limit:
        return line
    return f"{line[:limit]}... [{len(line) - limit:,} more characters]"


def visible(text: str) -> str:
    """Return text that can be sent: U+FFFD for bytes that are not characters, a symbol for NUL."""
    return clean_text(text).replace("\0", "\u2400")


def numbered(lines: Sequence[str], first: int = 1, limit: int = LINE_LIMIT) -> str:
    """Return lines as `cat -n` does: the number, a tab, the line."""
    return "\n".join(f"{first + i:6}\t{visible(clip(line, limit))}" for i, line in enumerate(lines))


def shortened(lines: Sequence[str], first: int, most: int = 40) -> str:
    """Return numbered lines from number `first` on; of more than `most` the middle is left out."""
    if len(lines) <= most:
        return numbered(lines, first, 500)
    half = most // 2
    low, high = first + half, first + len(lines) - half
    return "\n".join(
        (
            numbered(lines[:half], first, 500),
            f"       [lines {low}-{high - 1} left out]",
            numbered(lines[-half:], high, 500),
        )
    )


def ranges(numbers: Sequence[int], most: int = 2_000) -> str:
    """Return line numbers as text: "3", "3 and 17", "3, 17 and 20"."""
    items = [str(number) for number in numbers[:most]]
    if len(numbers) > most:
        items.append(f"{len(numbers) - most:,} more")
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def extent(low: int, high: int) -> str:
    """Return lines `low` to `high` (included) as text: "line 3", "lines 3-5"."""
    return f"line {low}" if low >= high else f"lines {low}-{high}"


def fitted(lines: Sequence[str], first: int, budget: int) -> tuple[str, int]:
    """Return as many numbered lines as fit `budget` bytes (one at least), and how many they are."""
    limit = LINE_LIMIT if len(lines) > 1 else max(LINE_LIMIT, budget // 2)
    out: list[str] = []
    for i, line in enumerate(lines):
        rendered = numbered([line], first + i, limit)
        budget -= len(rendered.encode()) + 1
        if budget < 0 and out:
            break
        out.append(rendered)
    return "\n".join(out), len(out)
