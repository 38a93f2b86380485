"""The three ways to change one file's text: replace a piece, insert lines, give it new content. No I/O.

Each returns the file's new bytes and a message for the model: where the change is, how the text matched, and the lines
around the change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent_runtime.errors import ToolError
from agent_runtime.files.line_match import EXACT
from agent_runtime.files.line_numbers import extent, numbered, ranges, shortened
from agent_runtime.files.merge_lines import replacement
from agent_runtime.files.similar import describe
from agent_runtime.files.text_file import Edit, TextFile, plain
from agent_runtime.files.text_match import Matches, Span, find
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import clean_text

_NUMBERED = lazy_pattern(r"\s*\d+\t")
_CONTEXT = 4  # lines before and after a change that are returned
_LISTED = 40  # line numbers of places that were all replaced
_ESCAPES = {
    "n": ("\n", "line breaks"),
    "t": ("\t", "tabs"),
    "\\": ("\\", "single backslashes"),
    '"': ('"', "plain quotes"),
}


@dataclass(frozen=True)
class ReplacedText:
    """The new bytes of a file and the message for the model."""

    data: bytes
    message: str


def sound(text: str, what: str) -> str:
    """Return text that can be written, surrogate pairs joined. Raises ToolError for half a character."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        joined = clean_text(text)
        if joined.count("\ufffd") > text.count("\ufffd"):
            at = next(i for i, char in enumerate(text) if "\ud800" <= char <= "\udfff")
            raise ToolError(
                f"{what} contains half a character (a lone surrogate) after {text[max(0, at - 20) : at]!r}: "
                "it was cut or damaged on its way. Nothing was written. Send it again."
            ) from None
        return joined


def replace(file: TextFile, display: str, *, old: str, new: str, every: bool) -> ReplacedText:
    """Replace the one occurrence of `old` (or every one) by `new`.

    Raises ToolError when there is none, when there are several, or when nothing would change.
    """
    old = plain(sound(old, "The old text"), file.only_cr)
    new = plain(sound(new, "The new text"), file.only_cr)
    if not old and not file.text:
        return overwrite(file, display, content=new)
    if not old:
        raise ToolError("The old text is empty: say which text to replace, or use insert or create.")
    if old == new:
        raise ToolError("The old and the new text are the same: there is nothing to change.")
    matches = find(file.plain, old, every=every, tolerant=not file.is_large)
    if not matches.spans:
        raise ToolError(_absent(file, old, new, display))
    if (len(matches.spans) > 1 or not matches.complete) and not (every and matches.how == EXACT):
        raise ToolError(_ambiguous(file, matches, display, every))
    edits = [replacement(file, matches, span, old, new) for span in matches.spans]
    return ReplacedText(file.splice(edits), _replaced(file, matches, edits[0], display))


def insert(file: TextFile, display: str, *, after: int, text: str) -> ReplacedText:
    """Insert lines after line `after` (0: before the first). Raises ToolError when there is no such line."""
    at = file.line_start(after) if after >= 0 else None
    if at is None:
        raise ToolError(
            f"insert_line must be from 0 to {file.line_count}, the number of lines of {display}; it was {after}."
        )
    text = plain(sound(text, "The text"), file.only_cr)
    if not text:
        raise ToolError("The text to insert is empty.")
    count = _count(text)
    end = file.line_end(at, at)
    if after and not file.text.endswith(("\n", end), 0, at):  # after a last line that has no line end
        text = "\n" + text
    elif not text.endswith("\n"):
        text += "\n"
    edit = Edit(at, at, text.replace("\n", end))
    data = file.splice([edit])
    place = f"after line {after}" if after else "at the beginning"
    start = len(plain(file.text[:at], file.only_cr))
    view = _view(file, start, start, text, _line_of(file, start))
    return ReplacedText(data, f"Inserted {_lines(count)} {place} of {display}.\n{view}")


def create(display: str, *, content: str) -> ReplacedText:
    """The content of a new file. Raises ToolError for half a character."""
    content = sound(content, "The content")
    return ReplacedText(content.encode(), f"Created {display} ({_lines(_count(content))}).")


def overwrite(file: TextFile, display: str, *, content: str) -> ReplacedText:
    """New content for a file, which keeps its encoding, byte order mark and line ends. Raises ToolError."""
    content = sound(content, "The content")
    if b"\0" in file.data and not file.encoding.codec.startswith("utf-"):
        return ReplacedText(content.encode(), f"Wrote {display} ({_lines(_count(content))}; it was binary).")
    if file.encoding.bom:
        content = content.removeprefix("\ufeff")
    if "\r" in content:  # the model has chosen the line ends
        edit = Edit(0, len(file.text), content)
    elif file.is_large:
        edit = Edit(0, len(file.text), content.replace("\n", file.line_end(0, 0)))
    else:
        edit = replacement(file, Matches(EXACT, ()), Span(0, len(file.plain)), file.plain, content)
    data = file.splice([edit])
    if data == file.data:
        return ReplacedText(data, f"{display} has this content already; nothing was written.")
    kept = [] if file.encoding.label == "utf-8" else [f"{file.encoding.label} kept"]
    if "\r" in edit.new and "\r" not in content:
        kept.append(f"{'CR' if file.only_cr else 'CRLF'} line ends kept")
    note = f"; {', '.join(kept)}" if kept else ""
    return ReplacedText(data, f"Wrote {display} ({_lines(_count(content))}, before {file.line_count}{note}).")


def _ambiguous(file: TextFile, matches: Matches, display: str, every: bool) -> str:
    how = "" if matches.how == EXACT else f" {matches.how}"
    more = "" if matches.complete else " or more"
    advice = (
        "Only exact matches are all replaced: give the text as it is in the file."
        if every
        else "Give more of the lines around the one that is meant."
    )
    return (
        f"The old text matches {len(matches.spans):,}{more} places in {display}{how}, at {_at(file, matches.spans)}. "
        f"Nothing was written. {advice}"
    )


def _at(file: TextFile, spans: Sequence[Span], most: int = 2_000) -> str:
    """The lines where they begin, each once, `most` of them."""
    numbers: list[int] = []
    line, upto = 1, 0
    for span in spans:
        line, upto = line + file.plain.count("\n", upto, span.start), span.start
        if not numbers or numbers[-1] != line:
            numbers.append(line)
    return f"{'line' if len(numbers) == 1 else 'lines'} {ranges(numbers, most)}"


def _absent(file: TextFile, old: str, new: str, display: str) -> str:
    out = [f"The old text is not in {display}. Nothing was written."]
    block = old.removesuffix("\n").split("\n")
    if all(_NUMBERED.match(line) for line in block if line.strip()) and old.strip():
        out.append("Leave out the line numbers that the view puts before each line.")
    unescaped, instead = _unescaped(old)
    for what, given in ((instead, unescaped), ("`\\n` for line breaks", old.replace("\n", "\\n"))):
        if given != old and given in file.plain:
            out.append(f"It is there with {what}: send it like that.")
    if new.strip() and (there := file.plain.find(new)) >= 0:
        out.append(f"The new text is there already, at line {_line_of(file, there)}.")
    if file.is_large:
        out.append(
            "In a file of this size only exact matches are looked for. View the lines to change first."
        )
    else:
        out.append(describe(file.lines, block))
    return "\n".join(out)


def _unescaped(text: str) -> tuple[str, str]:
    """Text without its escapes, which a model may have written twice, and the escapes that were found."""
    escapes = dict.fromkeys(re.findall(r'\\([nt\\"])', text))
    instead = " and ".join(f"{_ESCAPES[escape][1]} for `\\{escape}`" for escape in escapes)
    return re.sub(r'\\([nt\\"])', lambda found: _ESCAPES[found[1]][0], text), instead


def _replaced(file: TextFile, matches: Matches, edit: Edit, display: str) -> str:
    spans = matches.spans
    if spans[1:]:
        return f"Replaced {len(spans):,} places in {display}, at {_at(file, spans, _LISTED)} (as before)."
    start, end = spans[0].start, spans[0].end
    first = _line_of(file, start)
    if matches.how == EXACT:
        title = f"Replaced the text at line {first} of {display}:"
    else:
        low, high = file.plain.rfind("\n", 0, start) + 1, file.plain.find("\n", max(start, end - 1))
        matched = file.plain[low : high if high >= 0 else len(file.plain)].split("\n")
        title = (
            f"The old text is not there exactly; it matched {extent(first, first + len(matched) - 1)} of {display} "
            f"{matches.how}:\n{numbered(matched[:40], first, 500)}\nThis was replaced; the place is now:"
        )
    return f"{title}\n{_view(file, start, end, plain(edit.new, file.only_cr), first)}"


def _view(file: TextFile, start: int, end: int, new: str, line: int) -> str:
    """The lines around `new` in the place of `plain[start:end]`, which begins in line number `line`."""
    text = file.plain
    low = text.rfind("\n", 0, start) + 1
    for _ in range(min(_CONTEXT, line - 1)):
        low = text.rfind("\n", 0, low - 1) + 1
        line -= 1
    high = end
    for _ in range(_CONTEXT + (bool(new) and not new.endswith("\n"))):
        high = text.find("\n", high) + 1 or len(text)
    lines = (text[low:start] + new + text[end:high]).split("\n")
    return shortened(lines if lines[-1] else lines[:-1], line)


def _line_of(file: TextFile, offset: int) -> int:
    return file.plain.count("\n", 0, offset) + 1


def _count(text: str) -> int:
    return text.count("\n") + (1 if text and not text.endswith("\n") else 0)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
