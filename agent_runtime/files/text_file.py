"""A text file as bytes and as text at once, so that an edit leaves every byte outside of it alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property

from agent_runtime.errors import ToolError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.text_encoding import Encoding, detect

LARGE = 16 << 20  # characters
_MANY_LINES = 1_000_000
_CRS = lazy_pattern("(?<!\r)\r+\n")  # looked for at the first of several CRs only
_NON_ASCII = lazy_pattern(r"[^\x00-\x7f]+")


@dataclass(frozen=True)
class Edit:
    """Replace `text[start:end]`, in characters of the file's own text."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class TextFile:
    """Bytes and their text. `text` is without the byte order mark, and has the line ends of the file."""

    data: bytes
    text: str
    encoding: Encoding

    @cached_property
    def only_cr(self) -> bool:
        """Whether lines end in a lone CR. In other files a lone CR is a character like any other."""
        return "\n" not in self.text and "\r" in self.text

    @cached_property
    def plain(self) -> str:
        """The text with every line end as LF: what the model sees, and what its text is compared with."""
        return plain(self.text, self.only_cr)

    @cached_property
    def _dropped(self) -> list[int]:
        """Offsets in `plain` at which a CR of `text` is left out, one entry for each CR; all are before an LF."""
        places: list[int] = []
        if "\r" in self.text and not self.only_cr:
            for end in _CRS.finditer(self.text):
                places += [end.start() - len(places)] * (len(end[0]) - 1)
        return places

    def offset(self, plain_offset: int) -> int:
        """Return the offset in `text` of an offset in `plain`."""
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

    @cached_property
    def is_large(self) -> bool:
        """Whether lists of all lines would take too long, as they cannot be interrupted."""
        return len(self.text) > LARGE or self.plain.count("\n") > _MANY_LINES

    @property
    def line_count(self) -> int:
        """How many lines there are; none after a final line end."""
        return self.plain.count("\n") + (self.plain[-1:] not in ("", "\n"))

    def line_start(self, number: int) -> int | None:
        """Return the offset in `text` after this many lines; None when there are fewer."""
        end = "\r" if self.only_cr else "\n"
        at = 0
        for _ in range(number):
            if at == len(self.text):
                return None
            at = self.text.find(end, at) + 1 or len(self.text)
        return at

    def line_end(self, start: int, end: int) -> str:
        """Return the line end to use in `text[start:end]`: the first in it, else after it, else before it, else LF."""
        if self.only_cr:
            return "\r"
        found = self.text.find("\n", start)
        if found < 0:
            found = self.text.rfind("\n", 0, start)
        if found < 0:
            return "\n"
        line = self.text.rfind("\n", 0, found) + 1
        return end_of(self.text[line : found + 1])

    def encode(self, text: str) -> bytes:
        """Encode text as the file is encoded. Raises ToolError, naming a character that the encoding does not have."""
        try:
            return text.encode(self.encoding.codec, self.encoding.errors)
        except UnicodeEncodeError as error:
            raise ToolError(
                f"the file is {self.encoding.label}, which has no {_named(text[error.start])}. Nothing "
                "was written. Use other characters, or convert the file to UTF-8 first (iconv)."
            ) from error

    def _encode_new(self, text: str) -> bytes:
        """Encode new text. Where the encoding is not known, it is ASCII, and what it repeats of the file."""
        if not self.encoding.known:
            for run in _NON_ASCII.findall(text):
                if run not in self._non_ascii:
                    raise ToolError(
                        f"the encoding of the file is not known, so {_named(run[0])} cannot be written. Nothing was "
                        "written. Use ASCII, or convert the file to UTF-8 first (iconv)."
                    )
        return self.encode(text)

    @cached_property
    def _non_ascii(self) -> frozenset[str]:
        return frozenset(_NON_ASCII.findall(self.text))

    def splice(self, edits: Iterable[Edit]) -> bytes:
        """Return the bytes with these edits made, which are in order and apart.

        Raises ToolError, naming a character, when the encoding of the file does not have it, or is not known.
        """
        out: list[bytes] = []
        chars = at = 0
        body = memoryview(self.data)[len(self.encoding.bom) :]
        out.append(self.encoding.bom)
        for edit in edits:
            upto = at + self._width(chars, edit.start)
            out += (bytes(body[at:upto]), self._encode_new(edit.new))
            at = upto + self._width(edit.start, edit.end)
            chars = edit.end
        out.append(bytes(body[at:]))
        return b"".join(out)

    def _width(self, start: int, end: int) -> int:
        return len(self.text[start:end].encode(self.encoding.codec, self.encoding.errors))


def decode(data: bytes, known: Encoding | None = None) -> TextFile:
    """Return any bytes as a text file whose text encodes to the same bytes, in the encoding `known` if it is given."""
    encoding = known or detect(data)
    try:
        return TextFile(data, data[len(encoding.bom) :].decode(encoding.codec, encoding.errors), encoding)
    except UnicodeDecodeError:  # the byte order mark was wrong
        return TextFile(data, data.decode("latin-1"), Encoding("latin-1"))


def split_lines(text: str, end: str = "\n") -> list[str]:
    """Split into lines with their ends. `str.splitlines` also breaks at form feeds, U+2028 and others."""
    lines = text.split(end)
    last = lines.pop()
    return [line + end for line in lines] + ([last] if last else [])


def plain(text: str, only_cr: bool = False) -> str:
    """Return text with LF for CRLF, also where the CR is doubled (CR CR LF), and for CR in a CR file."""
    if only_cr:
        return text.replace("\r", "\n")
    return _CRS.sub("\n", text) if "\r\r\n" in text else text.replace("\r\n", "\n")


def end_of(line: str) -> str:
    """Return the line end of one line (with its end): LF, CRLF, CR CR LF, CR, or nothing."""
    if line.endswith("\n"):
        return line[len(line[:-1].rstrip("\r")) :]
    return "\r" if line.endswith("\r") else ""


def _named(char: str) -> str:
    return f"{char!r} (U+{ord(char):04X})"
