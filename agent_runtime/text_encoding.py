"""The encoding of a text file, found by its bytes.

Strongest evidence first: a byte order mark; valid UTF-8; the pattern of NULs that UTF-16 leaves in mostly-ASCII text.
What is left is either UTF-8 with some damaged bytes (kept by `surrogateescape`) or one of the older encodings, and
that is decided by all non-ASCII bytes, because in any of them some pairs happen to be valid UTF-8. An older encoding
is read as windows-1252 or latin-1; where the text does not look like either, it is not known.
"""

from __future__ import annotations

import codecs
import re

from agent_runtime.lazy import dataclass, lazy_pattern

_BOMS = (  # that of UTF-32 LE begins with that of UTF-16 LE, so it comes first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 65_536  # bytes examined for the pattern of UTF-16
_EVIDENCE = 1 << 20  # bytes examined, from the first that is not ASCII on
_RUN = lazy_pattern(rb"[\x80-\xff]+")
_SEQUENCE = lazy_pattern(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_USUAL = lazy_pattern(rb"\xc2[\xa0\xa1\xa3\xa7\xa9\xab\xae\xb0-\xb3\xb5\xb7\xbb\xbf]|\xc3.", re.DOTALL)
# a letter in front of an ellipsis, a quote, a dash, a no-break space, a guillemet or a degree sign of windows-1252
_LETTER_AND_SIGN = lazy_pattern(rb"[\xc2-\xdf][\x85\x91-\x97\x99\xa0\xab\xb0\xbb]")
# What stands together in Western text: punctuation around up to three letters, or around letters that are listed, as in
# a character class; or a single sign.
_SIGNS = "[\xa0¡¢£¥§©«®°±·»¿×÷€‚„…†‡‰‹›‘’“”•–—™ªº]*+"
_LETTERS = (
    "[À-ÖØ-öø-ÿŠŒŽšœžŸ]{0,3}",
    "[äöüÄÖÜß]{2,8}",
    "[åäöæøÅÄÖÆØ]{2,10}",
    "[áéíóúñüÁÉÍÓÚÑÜ]{2,14}",
    "[àâäéèêëîïôöùûüÿçœæ]{2,16}",
    "[àèéìòùÀÈÉÌÒÙ]{2,12}",
    "[ãõâêôáéíóúàç]{2,13}",
)
# letters of Western languages
_COMMON = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœšžÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŸŒŠŽ")
_TYPICAL = _COMMON | frozenset("\xa0¡¢£¥§©«®°±·»¿×÷€…†‰‹›‘’“”•–—™ªº²³¹¼½¾µ")
# of East Asian characters, rarely behind a letter
_SECOND_BYTES = frozenset(b"\\@[]^_`{|}~"[i : i + 1] for i in range(11))
# how upper and lower case follow each other in a word
_WORD = lazy_pattern("[À-ÖØ-ÞŠŒŽŸß]*|[À-ÖØ-ÞŠŒŽŸ]?[ß-öø-ÿšœž]*")
_LETTER = lazy_pattern("[À-ÖØ-öø-ÿŠŒŽšœžŸ]+")
_LISTED = lazy_pattern("|".join(_LETTERS[1:]))
_WESTERN = lazy_pattern(f"{_SIGNS}(?:{'|'.join(_LETTERS)}){_SIGNS}|[²³¹¼½¾µ¤¦¨¬´¶]")


@dataclass(frozen=True)
class Encoding:
    """How bytes become text.

    A codec, what it does with bytes that it cannot read, the byte order mark of the file, and whether the codec is
    that of the file. If it is not, it is only a way to hold the bytes.
    """

    codec: str
    bom: bytes = b""
    errors: str = "strict"
    known: bool = True

    @property
    def label(self) -> str:
        """Its name in messages."""
        if not self.known:
            return f"not known (shown as {self.codec})"
        return self.codec + (" with BOM" if self.bom else "")


def detect(data: bytes, *, whole: bool = True) -> Encoding:
    """Return the encoding of a file by its bytes, or by its first bytes when they are not the `whole`."""
    for bom, codec in _BOMS:
        if data.startswith(bom) and not (whole and len(data) % _width_of(codec)):
            damaged = codec == "utf-8" and not _is_utf8(data, whole)
            return Encoding(codec, bom, "surrogateescape" if damaged else "strict")
    if wide := _unmarked_utf16(data[:_SAMPLE], len(data)):
        return Encoding(wide)
    if _is_utf8(data, whole):
        return Encoding("utf-8")
    first = _RUN.search(data)
    start = first.start() if first else 0
    end = start + _EVIDENCE
    runs = _RUN.findall(data, start, end)
    if _is_damaged_utf8(runs):
        return Encoding("utf-8", errors="surrogateescape")
    return _one_byte(runs, data[max(start - 1, 0) : end])


def _is_damaged_utf8(runs: list[bytes]) -> bool:
    """Whether the runs of non-ASCII bytes that are valid UTF-8 outweigh those that are not, two to one."""
    valid, invalid = 0.0, 0
    for run in runs:
        rest, count = _SEQUENCE.subn(b"", run)
        if not rest:
            usual = count > 1 or len(run) > 2 or _USUAL.match(run)
            if _LETTER_AND_SIGN.fullmatch(run):
                valid += 1 if usual else 0.25
            else:
                valid += 2 if usual else 1
        else:
            # East Asian text has no ASCII between its characters: damage is in the middle of a long run
            damaged = (len(run) - len(rest)) // 2 >= 8 * len(rest)
            valid += 2 * damaged
            invalid += 1
    return valid >= 2 * invalid


def _one_byte(runs: list[bytes], data: bytes) -> Encoding:
    """Return a Western encoding. It is known when nearly all runs look Western, and one of them cannot be a character
    of two bytes.
    """
    high = b" ".join(runs)
    windows = re.search(rb"[\x80-\x9f]", high) and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", high)
    codec = "cp1252" if windows else "latin-1"
    western = sum(len(run) for run in runs if _is_western(run.decode(codec)))
    known = western >= 0.9 * sum(map(len, runs)) and any(
        _is_typical(
            run[0].decode(codec), data[max(run.start() - 1, 0) : run.start()], data[run.end() : run.end() + 1]
        )
        for run in _RUN.finditer(data)
    )
    return Encoding(codec, known=known)


def _is_typical(run: str, before: bytes, after: bytes) -> bool:
    """Whether a run is evidence for a Western encoding: a single sign or letter, letters that continue a word in ASCII,
    or a list of letters in brackets. Two letters apart from a word may as well be one East Asian character.
    """
    if len(run) == 1:
        return run in _TYPICAL and after not in _SECOND_BYTES
    letters = _LETTER.search(run)
    listed = letters is not None and _LISTED.fullmatch(letters[0]) and len(set(letters[0])) == len(letters[0])
    if letters and listed and (len(letters[0]) >= 5 or (before == b"[" and after == b"]")):
        return True
    if letters is None or not _COMMON.issuperset(letters[0]):
        return False
    continues = before.isalpha() and letters.start() == 0 and (before.isupper() or letters[0][0].islower())
    continued = (
        after.isalpha() and letters.end() == len(run) and (after.islower() or letters[0][-1].isupper())
    )
    return continues or continued


def _is_western(run: str) -> bool:
    if not _WESTERN.fullmatch(run):
        return False
    letters = _LETTER.findall(run)
    return all(_WORD.fullmatch(word) or _LISTED.fullmatch(word) for word in letters)


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
