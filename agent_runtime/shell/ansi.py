"""What a person would see of a program's output: escape codes gone, a progress bar as it stood in the end.

Works line by line, so that cleaning a text whole or in lines gives the same.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI (ECMA-48)
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]+[0-~]|\x1b[0-~]|\x1b"  # charsets and the like
)
_ERASE = re.compile(r"\x1b\[([012]?)K")
_SPECIAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DROPPED = {code: None for code in [*range(1, 9), 11, *range(14, 32), *range(0x7F, 0xA0)]} | {
    0: "\ufffd",
    12: "\n",
}
_TOKEN = re.compile(r"\r|\x08|\x1b\[[012]?K|[^\r\x08\x1b]+")


def clean(text: str) -> str:
    """The text as a person would see it. NUL becomes U+FFFD, other control characters are dropped."""
    if not _SPECIAL.search(text):
        return text
    return "\n".join(map(_clean_line, text.split("\n")))


def _clean_line(line: str) -> str:
    if not _SPECIAL.search(line):
        return line
    line = line.rstrip("\r")
    if "\x1b" in line:
        line = _ESCAPE.sub(lambda code: code.group() if _ERASE.fullmatch(code.group()) else "", line)
    if "\r" in line or "\x08" in line or "\x1b" in line:
        line = _overwritten(line)
    return line.translate(_DROPPED)


def _overwritten(line: str) -> str:
    # what is on the line after all carriage returns, backspaces and erasures
    shown: list[str] = []
    column = 0
    for token in _TOKEN.findall(line):
        if token == "\r":
            column = 0
        elif token == "\x08":
            column = max(column - 1, 0)
        elif token[0] == "\x1b":
            part = token[2:-1]
            if part in ("", "0"):
                del shown[column:]
            else:
                shown[: column if part == "1" else len(shown)] = " " * column
        else:
            shown.extend(" " * (column - len(shown)))
            shown[column : column + len(token)] = token
            column += len(token)
    return "".join(shown).rstrip(" ") if "\x1b" in line else "".join(shown)


def decode_tail(data: bytes) -> str:
    """Text of bytes that may begin in the middle of a character: its rest is left out."""
    start = 0
    while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:].decode("utf-8", "replace")


def decode_head(data: bytes) -> str:
    """Text of bytes that may end in the middle of a character: its beginning is left out."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead & 0xC0 == 0x80:
            continue
        length = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return (data[:-back] if length > back else data).decode("utf-8", "replace")
    return data.decode("utf-8", "replace")
