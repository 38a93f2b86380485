"""Names in a directory as a model sees them: which entry it means by a name that is not there."""

from __future__ import annotations

import os
import unicodedata
from difflib import get_close_matches
from itertools import islice

from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import clean_text

_SPACES = lazy_pattern(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = lazy_pattern(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
_QUOTES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"')
)
_COMPARED = 5_000  # entries that are compared to suggest a name


def look_alikes(wanted: str, folder: int) -> list[str]:
    """Return the entries of a directory, open as `folder`, that look the same as a name that is not there.

    Composed and decomposed letters look alike, so do the kinds of spaces and of quotes, and invisible characters are
    not seen. A name that is not UTF-8 reaches the model with U+FFFD in it. Empty when the directory is unreadable.
    """
    wanted_look = look(wanted)
    plain = wanted.isascii()  # two names that are both ASCII look the same only when they are the same
    return [name for name in _entries(folder) if not (plain and name.isascii()) and look(name) == wanted_look]


def close_names(wanted: str, folder: int) -> list[str]:
    """Return up to three entries of a directory whose names are similar, the most similar first."""
    return get_close_matches(wanted, islice(_entries(folder), _COMPARED), 3)


def look(name: str) -> str:
    """Return a name in a form that is the same for all names that look the same."""
    seen = _INVISIBLE.sub("", unicodedata.normalize("NFC", clean_text(name)))
    return _SPACES.sub(" ", seen).translate(_QUOTES)


def _entries(folder: int) -> list[str]:
    try:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return []
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []
    finally:
        os.close(fd)
