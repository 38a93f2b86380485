"""A text file as bytes and as text at once, so that an edit can leave every byte outside it alone.

The encoding is found by evidence, strongest first: a byte order mark; valid UTF-8; the pattern of NULs that
UTF-16 leaves in mostly-ASCII text; UTF-8 with a few damaged bytes (kept by `surrogateescape`); and, as the
last resort, one byte a character: windows-1252 where the bytes 0x80..0x9F are used as it uses them, latin-1
otherwise.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from agent_runtime.errors import ToolError

_MARKS = (  # UTF-32 LE begins with the mark of UTF-16 LE, so it is asked first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 65_536  # bytes looked at where looking at all of them would not make the guess better
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class Encoding:
    """How bytes become text.

    A codec, what it does with bytes it cannot read, and the mark the file begins with.
    """

    codec: str
    mark: bytes = b""
    errors: str = "strict"

    @property
    def label(self) -> str:
        """As a person names it."""
        return self.codec + (" with BOM" if self.mark else "")


@dataclass(frozen=True)
class Edit:
    """Replace `text[start:end]`, in characters of the file's own text."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class TextFile:
    """Bytes and their text. `text` has no mark, and its line ends are those of the file."""

    data: bytes
    text: str
    encoding: Encoding

    @cached_property
    def only_cr(self) -> bool:
        """Lines end in a lone CR, as on the classic Mac.

        Elsewhere a lone CR is a character like any other.
        """
        return "\n" not in self.text and "\r" in self.text

    @cached_property
    def plain(self) -> str:
        """The text with every line end as LF: what the model is shown, and where its words are looked for."""
        return plain(self.text, self.only_cr)

    @cached_property
    def _dropped(self) -> list[int]:
        """Where in `plain` a CR of `text` is missing, once for each; all are before an LF."""
        places: list[int] = []
        if "\r" in self.text and not self.only_cr:
            for end in re.finditer("\r+\n", self.text):
                places += [end.start() - len(places)] * (len(end[0]) - 1)
        return places

    def offset(self, plain_offset: int) -> int:
        """The offset in `text` of an offset in `plain`."""
        return plain_offset + bisect_left(self._dropped, plain_offset)

    @cached_property
    def pieces(self) -> list[str]:
        """The lines of `text`, each with its line end."""
        return split_lines(self.text, "\r" if self.only_cr else "\n")

    @cached_property
    def lines(self) -> list[str]:
        """The lines of `plain` without line ends; no empty one after a final line end."""
        lines = self.plain.split("\n")
        return lines if lines[-1] else lines[:-1]

    def line_end(self, start: int, end: int) -> str:
        """The line end in force around `text[start:end]`.

        Within it, else after it, else before it, else LF.
        """
        ends = re.compile("\r" if self.only_cr else "\r*\n")
        found = ends.search(self.text, start, end) or ends.search(self.text, end)
        if found:
            return found[0]
        before = self.text.rfind("\r" if self.only_cr else "\n", 0, start) + 1
        return end_of(self.text[:before]) if before else "\n"

    def encode(self, text: str) -> bytes:
        """Text in the file's encoding.

        Raises ToolError naming the character that the encoding does not have.
        """
        try:
            return text.encode(self.encoding.codec, self.encoding.errors)
        except UnicodeEncodeError as error:
            char = text[error.start]
            raise ToolError(
                f"the file is {self.encoding.label}, which has no {char!r} (U+{ord(char):04X}). Nothing "
                "was written. Use other characters, or convert the file to UTF-8 first (iconv)."
            ) from error

    def splice(self, edits: Iterable[Edit]) -> bytes:
        """The bytes with these edits (in order, apart from each other) made, and no other byte touched."""
        out: list[bytes] = []
        chars = at = 0
        body = memoryview(self.data)[len(self.encoding.mark) :]
        out.append(self.encoding.mark)
        for edit in edits:
            upto = at + self._width(chars, edit.start)
            out += (bytes(body[at:upto]), self.encode(edit.new))
            at = upto + self._width(edit.start, edit.end)
            chars = edit.end
        out.append(bytes(body[at:]))
        return b"".join(out)

    def _width(self, start: int, end: int) -> int:
        return len(self.text[start:end].encode(self.encoding.codec, self.encoding.errors))


def decode(data: bytes, known: Encoding | None = None) -> TextFile:
    """Any bytes as a text file whose text gives the same bytes again; in the encoding `known`, if it is."""
    encoding = known or detect(data)
    try:
        return TextFile(data, data[len(encoding.mark) :].decode(encoding.codec, encoding.errors), encoding)
    except UnicodeDecodeError:  # a mark that promised more than the bytes hold
        return TextFile(data, data.decode("latin-1"), Encoding("latin-1"))


def detect(data: bytes, *, whole: bool = True) -> Encoding:
    """The encoding of a file by its bytes, or by its first ones when they are not the whole."""
    for mark, codec in _MARKS:
        if data.startswith(mark) and not (whole and len(data) % _width_of(codec)):
            damaged = codec == "utf-8" and not _is_utf8(data, whole)
            return Encoding(codec, mark, "surrogateescape" if damaged else "strict")
    if wide := _unmarked_utf16(data[:_SAMPLE], len(data)):
        return Encoding(wide)
    if _is_utf8(data, whole):
        return Encoding("utf-8")
    if _MULTIBYTE.search(data):
        return Encoding("utf-8", errors="surrogateescape")
    if re.search(rb"[\x80-\x9f]", data) and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", data):
        return Encoding("cp1252")
    return Encoding("latin-1")


def split_lines(text: str, end: str = "\n") -> list[str]:
    """Lines with their ends. Not `str.splitlines`, which also breaks at form feeds, U+2028 and others."""
    parts = text.split(end)
    last = parts.pop()
    return [part + end for part in parts] + ([last] if last else [])


def plain(text: str, only_cr: bool = False) -> str:
    """Text with LF line ends, for CRLF, also where it was made twice (CR CR LF), and for CR in a CR file."""
    if only_cr:
        return text.replace("\r", "\n")
    return re.sub("\r+\n", "\n", text) if "\r\r\n" in text else text.replace("\r\n", "\n")


def end_of(line: str) -> str:
    """The line end of a line that has one."""
    return line[len(line.rstrip("\r\n")) :] if line.endswith("\n") else line[-1:]


def _width_of(codec: str) -> int:
    return {"utf-8": 1, "utf-16": 2, "utf-32": 4}[codec.removesuffix("-le").removesuffix("-be")]


def _is_utf8(data: bytes, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, whole)
    except UnicodeDecodeError:
        return False
    return True


def _unmarked_utf16(sample: bytes, size: int) -> str | None:
    half = len(sample) // 2
    if half < 2 or size % 2:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd >= 0.7 * half and even <= 0.02 * half:
        codec = "utf-16-le"
    elif even >= 0.7 * half and odd <= 0.02 * half:
        codec = "utf-16-be"
    else:
        return None
    try:
        text = sample.decode(codec)
    except UnicodeDecodeError:
        return None
    return None if any(char < " " and char not in "\t\n\r\f\x1b" for char in text) else codec
