"""A text file as the model reads it: the lines it asked for, numbered and bounded. No more is read than needed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

from agent_runtime.errors import ToolError
from agent_runtime.files.line_numbers import fitted
from agent_runtime.files.text_file import TextFile
from agent_runtime.images import has_control_bytes
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.text_encoding import detect

_HEAD = 65_536
_LINE = 1 << 20  # characters of a line that are held
_MAGIC = (
    (b"\x7fELF", "an ELF executable or library"),
    (b"PK\x03\x04", "a zip archive (or a document in one: docx, xlsx, jar)"),
    (b"\x1f\x8b", "gzip data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xca\xfe\xba\xbe", "a Java class file or Mach-O binary"),
    (b"\x00asm", "a WebAssembly module"),
    # letters, which may also begin a text
    (b"%PDF-", "a PDF document"),
    (b"BZh", "bzip2 data"),
    (b"OggS", "Ogg media"),
    (b"ID3", "an MP3 file"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
)
_PDF = lazy_pattern(rb"%PDF-\d\.\d[\r\n]+%[\x80-\xff]{2}")  # may have no other binary bytes at its beginning


@dataclass(frozen=True)
class FilePage:
    """Numbered lines, and whether more lines were asked for."""

    text: str
    cut: bool = False


def binary_kind(head: bytes, size: int) -> str | None:
    """Return what kind of binary file this is, by its first bytes; None for text.

    The signatures of formats count only together with bytes that no text has.
    """
    if has_control_bytes(head) or _PDF.match(head):
        for magic, kind in _MAGIC:
            if head.startswith(magic):
                return kind
        if head[257:262] == b"ustar":
            return "a tar archive"
    encoding = detect(head, whole=size == len(head))
    sample = head[len(encoding.bom) :].decode(encoding.codec, "replace")
    odd = sum(char < " " and char not in "\t\n\r\f\b\x1b" for char in sample) / (len(sample) or 1)
    sure = encoding.codec.startswith("utf-") and encoding.errors == "strict"
    if odd > (0.1 if sure else 0.03) or (not sure and "\0" in sample):
        return "binary data"
    return None


def page(file: TextFile, first: int | None, last: int | None, budget: int, display: str) -> FilePage:
    """Return lines `first` to `last` (from 1; None or -1: to the end) of a file in memory, in at most `budget` bytes.

    Raises ToolError for a range that the file does not have.
    """
    total = len(file.lines)
    low, high = _range(first, last, total, display)
    if not total:
        return FilePage(f"({display} is empty)")
    text, count = fitted(file.lines[low - 1 : high], low, budget)
    upto = low - 1 + count
    notes = _oddities(file)
    if upto < high:
        notes.insert(0, f"lines {low}-{upto} of {total:,}; read on from line {upto + 1}")
    elif low > 1 or high < total:
        notes.insert(0, f"lines {low}-{high} of {total:,}")
    return FilePage(text + "".join(f"\n[{note}]" for note in notes), upto < high)


def page_of_large(
    fd: int, size: int, first: int | None, last: int | None, budget: int, display: str
) -> FilePage:
    """Return the same of a file too large to hold, read up to the last line asked for, or to the end of the budget.

    Raises ToolError for a range that the file does not have.
    """
    low, high = _range(first, last, None, display)
    head = os.pread(fd, _HEAD, 0)
    encoding = detect(head, whole=False)
    os.lseek(fd, len(encoding.bom), os.SEEK_SET)
    stream = io.TextIOWrapper(io.FileIO(fd, closefd=False), encoding.codec, "replace", newline="\n")
    wanted: list[str] = []
    remaining = budget
    number = 0
    for number, line in enumerate(_lines(stream), 1):
        if number < low:
            continue
        if number > high or remaining < 0:
            break
        wanted.append(line.rstrip("\r\n"))
        remaining -= min(len(line), 2_000) + 8
    else:
        if number < low:
            raise ToolError(f"{display} has {number:,} lines; line {low:,} was asked for.")
    text, count = fitted(wanted, low, budget)
    return FilePage(
        f"{text}\n[lines {low}-{low + count - 1} of a file of {size:,} bytes]",
        low + count - 1 < min(high, number),
    )


def _range(first: int | None, last: int | None, total: int | None, display: str) -> tuple[int, int]:
    low = first or 1  # some models count from 0
    high = (1 << 62) if last in (None, -1) else int(last or 0)
    if low < 1:
        raise ToolError(f"Lines are counted from 1; line {low} of {display} was asked for.")
    if high < low:
        raise ToolError(f"The range ends (line {high}) before it begins (line {low}).")
    if total is not None:
        if low > max(total, 1):
            raise ToolError(f"{display} has {total:,} lines; line {low:,} was asked for.")
        high = min(high, total)
    return low, high


def _oddities(file: TextFile) -> list[str]:
    """What the lines do not show, and an edit must know."""
    notes: list[str] = []
    if file.encoding.label != "utf-8":
        notes.append(f"encoding: {file.encoding.label}")
    elif file.encoding.errors != "strict":
        notes.append("encoding: utf-8, with damaged bytes shown as \ufffd")
    if file.only_cr:
        notes.append("line ends: CR")
    elif "\r\n" in file.text:
        mixed = file.text.count("\r\n") < file.text.count("\n")
        notes.append("line ends: CRLF and LF, mixed" if mixed else "line ends: CRLF")
    if not file.plain.endswith("\n"):
        notes.append("no line end at the end of the file")
    if "\0" in file.text:
        notes.append("NUL characters are shown as \u2400")
    return notes


def _lines(stream: io.TextIOWrapper) -> Iterator[str]:
    """Lines of any length, at most `_LINE` characters of each."""
    while line := stream.readline(_LINE):
        kept = line
        while line and not line.endswith("\n"):
            line = stream.readline(_LINE)
        yield kept
