"""Other spellings of paths that models write: with quotes, as `file:` URIs, with backslashes, with line numbers.

A path is always taken literally first; these readings are tried only where nothing has the literal name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from agent_runtime.lazy import dataclass, lazy_pattern

_PAIRS = ('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb", "<>")
_URI = lazy_pattern(r"file:(?://(?:localhost(?=/))?|(?=[/.~]))(?=.)", re.IGNORECASE)
_HOME = lazy_pattern(r"\$(?:HOME|\{HOME\})(?=/|$)")
_WORKING_DIRECTORY = lazy_pattern(r"\$(?:PWD|\{PWD\})(?=/|$)")
_LINES = lazy_pattern(
    r"""(?P<path>.+?)(?:
        :L?(?P<a>\d+)(?:(?:-|\.\.)L?(?P<b>\d+)|[:,]\d+(?:-\d+)?)?(?:[:-].*)?   # a.py:1, :1-9, :1:5, :1: text of grep
        |\#L?(?P<c>\d+)(?:C\d+)?(?:-L?(?P<d>\d+)(?:C\d+)?)?                    # a.py#L1-L9
        |\s*\((?:lines?\s+)?(?P<e>\d+)(?:\s*[-,]\s*(?P<f>\d+))?\):?            # a.py(1,9)
        |,?\s+lines?\s+(?P<g>\d+)(?:\s*(?:-|to)\s*(?P<h>\d+))?                 # a.py, lines 1-9
        |::.+                                                                  # a.py::test_name
        |[,;:]+
    )""",
    re.VERBOSE | re.DOTALL,
)
_EXTENSION = lazy_pattern(r"[^/\s]\.\w{1,8}$")
_LONGEST = 4_096  # bytes of a path; a longer one has no other spelling
_MOST = 40  # spellings of one path


@dataclass(frozen=True)
class Spelling:
    """A path as it was probably meant.

    Attributes:
        path: the path, to be resolved like any other.
        sure: only marks that are not part of a name were removed: quotes, blanks, `file:`, backslashes.
        lines: the lines that the path named, first and last.
    """

    path: str
    sure: bool = True
    lines: tuple[int, int] | None = None

    @property
    def is_located(self) -> bool:
        """Whether the path named a place in a file with an extension, so that it cannot be a name."""
        return not self.sure and _EXTENSION.search(self.path) is not None


def spellings(path: str) -> list[Spelling]:
    """Return the other spellings of a path, those with the least removed first; empty for an ordinary path."""
    if len(path) > _LONGEST:
        return []
    found: dict[str, Spelling] = {path: Spelling(path)}
    queue = [found[path]]
    while queue and len(found) < _MOST:
        before = queue.pop(0)
        for after in _steps(before):
            if after.path.strip("/. ") and after.path not in found:
                found[after.path] = after
                queue.append(after)
    return [spelling for spelling in found.values() if spelling.path != path]


def _steps(before: Spelling) -> list[Spelling]:
    steps = [Spelling(after, before.sure, before.lines) for clean in _CLEAN if (after := clean(before.path))]
    if match := _LINES.fullmatch(before.path):
        numbers = [int(group) for group in match.groups()[1:] if group and len(group) < 10]
        span = (numbers[0], numbers[1]) if len(numbers) == 2 and 0 < numbers[0] <= numbers[1] else None
        steps.append(Spelling(match["path"], False, before.lines or span))
    if match := re.fullmatch(
        r"@(?=\w|[./~])(.+)|\[[^\]]*\]\((.+)\)", before.path
    ):  # a mention, a Markdown link
        steps.append(Spelling(match[1] or match[2], False, before.lines))
    return [step for step in steps if step.path != before.path]


def _without_quotes(path: str) -> str | None:
    return path[1:-1] if len(path) > 2 and path[0] + path[-1] in _PAIRS else None


def _without_scheme(path: str) -> str | None:
    match = _URI.match(path)
    return unquote(path[match.end() :]) if match else None


def _without_variables(path: str) -> str:
    return _WORKING_DIRECTORY.sub(".", _HOME.sub("~", path, count=1), count=1)


def _without_backslashes(path: str) -> str:
    r"""Read `\ ` as a shell does, and other backslashes as separators."""
    return re.sub(r"\\+", "/", re.sub(r"\\(?=[^\w.\\/])", "", path))


_CLEAN: tuple[Callable[[str], str | None], ...] = (
    str.strip,
    _without_quotes,
    _without_scheme,
    _without_variables,
    _without_backslashes,
)
