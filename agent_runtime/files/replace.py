"""The three ways one file's text is changed: replace a piece, insert lines, give it new content. No I/O.

Each gives the file's new bytes and what the model is told: where, how it matched, and how the place looks
now.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import around, extent, numbered, ranges
from agent_runtime.files.merge_lines import replacement
from agent_runtime.files.similar import describe
from agent_runtime.files.text_file import Edit, TextFile, decode, plain
from agent_runtime.files.text_match import EXACT, Matches, Span, find
from agent_runtime.protocol.messages import clean_text

_NUMBERED = re.compile(r"\s*\d+\t")
_COUNTED = 200_000  # places of a text that is ambiguous


@dataclass(frozen=True)
class ReplacedText:
    """The new bytes of a file and the words for the model."""

    data: bytes
    message: str


def sound(text: str, what: str) -> str:
    """Text that can be written. Raises ToolError for half a character: it must never reach a file."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        joined = clean_text(text)
        if joined.count("\ufffd") > text.count("\ufffd"):
            at = next(i for i, char in enumerate(text) if "\ud800" <= char <= "\udfff")
            raise ToolError(
                f"{what} has half a character (a lone surrogate) after {text[max(0, at - 20) : at]!r}: "
                "it was cut or damaged on its way. Nothing was written. Send it again."
            ) from None
        return joined


def replace(file: TextFile, shown: str, *, old: str, new: str, every: bool) -> ReplacedText:
    """Replace the one place of `old` (or every one) by `new`.

    Raises ToolError when there is no such place, when there are several, or when nothing would change.
    """
    old, new = (
        plain(sound(old, "The old text"), file.only_cr),
        plain(sound(new, "The new text"), file.only_cr),
    )
    if not old and not file.text:
        return overwrite(file, shown, content=new)
    if not old:
        raise ToolError("The old text is empty: say which text to replace, or use insert or create.")
    if old == new:
        raise ToolError("The old and the new text are the same: there is nothing to change.")
    matches = find(file.plain, old, sys.maxsize if every else _COUNTED)
    if not matches.spans:
        raise ToolError(_absent(file, old, new, shown))
    if len(matches.spans) > 1 and not (every and matches.how == EXACT):
        raise ToolError(_ambiguous(file, matches, shown))
    spans = _apart(matches.spans)
    data = file.splice([replacement(file, matches, span, old, new) for span in spans])
    return ReplacedText(data, _replaced(file, data, matches, spans, new, shown))


def insert(file: TextFile, shown: str, *, after: int, text: str) -> ReplacedText:
    """Insert lines after line `after` (0: before the first). Raises ToolError when there is no such line."""
    pieces = file.pieces
    if not 0 <= after <= len(pieces):
        raise ToolError(
            f"insert_line must be from 0 to {len(pieces)}, the number of lines of {shown}; it was {after}."
        )
    text = plain(sound(text, "The text"), file.only_cr)
    if not text:
        raise ToolError("The text to insert is empty.")
    at = sum(map(len, pieces[:after]))
    end = file.line_end(at, at)
    open_end = after == len(pieces) and after > 0 and not pieces[-1].endswith(("\n", end))
    if open_end:
        text = "\n" + text
    elif not text.endswith("\n"):
        text += "\n"
    data = file.splice([Edit(at, at, text.replace("\n", end))])
    after_lines = decode(data, file.encoding).lines
    count = len(after_lines) - len(pieces)
    place = f"after line {after}" if after else "at the beginning"
    message = f"Inserted {_lines(count)} {place} of {shown}.\n{around(after_lines, after, after + count)}"
    return ReplacedText(data, message)


def create(shown: str, *, content: str) -> ReplacedText:
    """A file that was not there."""
    content = sound(content, "The content")
    return ReplacedText(content.encode(), f"Created {shown} ({_lines(_count(content))}).")


def overwrite(file: TextFile, shown: str, *, content: str) -> ReplacedText:
    """New content for a file; it keeps its encoding, its mark and its line ends."""
    content = sound(content, "The content")
    if b"\0" in file.data and not file.encoding.codec.startswith("utf-"):
        return ReplacedText(content.encode(), f"Wrote {shown} ({_lines(_count(content))}; it was binary).")
    if file.encoding.mark:
        content = content.removeprefix("\ufeff")
    if "\r" in content:  # the line ends are the model's own choice
        edit = Edit(0, len(file.text), content)
    else:
        edit = replacement(file, Matches(EXACT, ()), Span(0, len(file.plain)), file.plain, content)
    data = file.splice([edit])
    if data == file.data:
        return ReplacedText(data, f"{shown} has this content already; nothing was written.")
    kept = [] if file.encoding.label == "utf-8" else [f"{file.encoding.label} kept"]
    if "\r" in edit.new and "\r" not in content:
        kept.append(f"{'CR' if file.only_cr else 'CRLF'} line ends kept")
    note = f"; {', '.join(kept)}" if kept else ""
    return ReplacedText(data, f"Wrote {shown} ({_lines(_count(content))}, before {len(file.lines)}{note}).")


def _apart(spans: tuple[Span, ...]) -> list[Span]:
    out: list[Span] = []
    for span in spans:
        if not out or span.start >= out[-1].end:
            out.append(span)
    return out


def _ambiguous(file: TextFile, matches: Matches, shown: str) -> str:
    how = "" if matches.how == EXACT else f" {matches.how}"
    more = " or more" if len(matches.spans) >= _COUNTED else ""
    return (
        f"The old text matches {len(matches.spans):,}{more} places in {shown}{how}, at {_at(file, matches.spans)}. "
        "Nothing was written. Give more of the lines around the one that is meant."
    )


def _at(file: TextFile, spans: Sequence[Span]) -> str:
    """The lines where they begin, each once."""
    numbers: list[int] = []
    line, upto = 1, 0
    for span in spans:
        line, upto = line + file.plain.count("\n", upto, span.start), span.start
        if not numbers or numbers[-1] != line:
            numbers.append(line)
    return f"{'line' if len(numbers) == 1 else 'lines'} {ranges(numbers)}"


def _absent(file: TextFile, old: str, new: str, shown: str) -> str:
    words = [f"The old text is not in {shown}. Nothing was written."]
    block = old.strip("\n").split("\n")
    if all(_NUMBERED.match(line) for line in block if line.strip()) and old.strip():
        words.append("Leave out the line numbers that the view puts before each line.")
    for what, given in (("line breaks", _unescaped(old)), ("`\\n` written out", old.replace("\n", "\\n"))):
        if given != old and given in file.plain:
            words.append(f"It is there with {what} for what you gave: send it so.")
    if new.strip() and (there := file.plain.find(new)) >= 0:
        words.append(f"The new text is there already, at line {file.plain.count(chr(10), 0, there) + 1}.")
    words.append(describe(file.lines, block))
    return "\n".join(words)


def _unescaped(text: str) -> str:
    """Escapes as what they stand for: a model may have escaped its text twice."""
    meant = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}
    return re.sub(r'\\([nt\\"])', lambda found: meant[found[1]], text)


def _replaced(file: TextFile, data: bytes, matches: Matches, spans: list[Span], new: str, shown: str) -> str:
    if len(spans) > 1:
        return f"Replaced {len(spans):,} places in {shown}, at {_at(file, spans)} (as before)."
    start = file.plain.count("\n", 0, spans[0].start)
    words: list[str] = []
    if matches.how != EXACT:
        last = start + file.plain.count("\n", spans[0].start, max(spans[0].start, spans[0].end - 1))
        there = numbered(file.lines[start : last + 1][:40], start + 1, 500)
        words.append(
            f"The old text is not there exactly; it matched {extent(start + 1, last + 1)} of {shown} "
            f"{matches.how}:\n{there}\nThis was replaced; the place is now:"
        )
    else:
        words.append(f"Replaced the text at line {start + 1} of {shown}:")
    after = decode(data, file.encoding).lines
    words.append(around(after, start, start + new.count("\n") + (0 if new.endswith("\n") or not new else 1)))
    return "\n".join(words)


def _count(text: str) -> int:
    return text.count("\n") + (1 if text and not text.endswith("\n") else 0)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
