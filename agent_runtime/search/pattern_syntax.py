"""A pattern as ripgrep understands it, in the words of the `regex` package.

Two things are for no pattern to see: CRs, which belong to line ends, and bytes that are no UTF-8, which are
decoded with `surrogateescape`. What stands for "anything but" is told so. Syntax: docs.rs/regex.
"""

from __future__ import annotations

import re

_UNSEEN = r"\r\udc80-\udcff"
_TOKEN = re.compile(
    r"\\[pPxuU]\{[^}]*\}|\\b\{[a-z-]+\}|\\[pP]?.|\[:\^?\w+:\]|\[\^?\]?|\]|\.|[^\\\[\].]+|\\", re.DOTALL
)
_ESCAPES = {r"\z": r"\Z", r"\<": r"\m", r"\>": r"\M", r"\b{start}": r"\m", r"\b{end}": r"\M"}
_ASCII = {  # the POSIX classes, which are of ASCII there
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


def translated(pattern: str) -> str:
    """The pattern for `regex.VERSION1`, whose sets nest as those of ripgrep do."""
    out: list[str] = []
    depth = 0  # of sets in sets
    for token in _TOKEN.findall(pattern):
        if token.startswith("[:") and depth and token.strip("[:^]") in _ASCII:
            token = f"[{'^' + _UNSEEN if token[2] == '^' else ''}{_ASCII[token.strip('[:^]')]}]"
        elif token.startswith("["):
            depth += 1
            token = ("[^" + _UNSEEN if "^" in token else "[") + (r"\]" if token.endswith("]") else "")
        elif token == "]":
            depth = max(0, depth - 1)
        elif token == "." and not depth:
            token = rf"[^\n{_UNSEEN}]"
        elif token == r"\s":
            token = r"[\s--\r]"
        elif token[:2] in (r"\S", r"\W", r"\D", r"\P"):
            token = f"[{token}--[{_UNSEEN}]]"
        elif token[:3] in (r"\x{", r"\u{", r"\U{"):
            token = _character(token)
        out.append(_ESCAPES.get(token, token))
    return "".join(out)


def closes_too_much(pattern: str) -> bool:
    """Is there a `)` that nothing opened? Then the pattern may not be put into a group."""
    sets = groups = 0
    for token in _TOKEN.findall(pattern):
        if token.startswith("[") and not (sets and token.startswith("[:")):
            sets += 1
        elif token == "]":
            sets = max(0, sets - 1)
        elif not sets and not token.startswith("\\"):
            for char in token:
                groups += (char == "(") - (char == ")")
                if groups < 0:
                    return True
    return False


def _character(token: str) -> str:
    try:
        return rf"\U{int(token[3:-1], 16):08x}"
    except ValueError:
        return token
