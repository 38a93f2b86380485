"""The files of the pages, and their modules joined into one script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
STYLES = ("page.css", "steps.css", "app.css")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


@cache
def names() -> frozenset[str]:
    """The names of the files that a server serves."""
    return frozenset(path.name for path in FOLDER.iterdir() if path.suffix in KINDS)


@cache
def asset(name: str) -> str:
    """The text of a file. Raises FileNotFoundError."""
    return (FOLDER / name).read_text("utf-8")


@cache
def script(entry: str) -> str:
    """A module with all that it imports as one script, for a page that has no server to load modules from.

    The modules become one scope: each name at the top of a module is unique among all of them.
    """
    return "".join(_EXPORT.sub("", _IMPORT.sub("", asset(name))) for name in _in_order(entry, set()))


def _in_order(name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    for imported in _IMPORT.findall(asset(name)):
        yield from _in_order(imported, seen)
    yield name


def source_hash(text: str) -> str:
    """The source expression of a Content-Security-Policy that allows exactly this script or style sheet."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
