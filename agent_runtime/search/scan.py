"""The search engine in Python. It runs as a process: no pattern can block the runtime or use up its memory.

Run as `python -I -m agent_runtime.search.scan`. It reads one JSON object from stdin (see `python_search`) and writes
one for each file found, or one with an `error`.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from agent_runtime.git.ignore_tree import Ignore
from agent_runtime.lazy import lazy_pattern
from agent_runtime.search.results import SearchMatch
from agent_runtime.system.safe_open import open_regular
from agent_runtime.text_encoding import detect

_CODECS = (
    "cp1252",
    "latin-1",
    "utf-8",
    *(f"utf-{size}-{order}" for size in (16, 32) for order in ("le", "be")),
)
_LINE_SECONDS = 2.0  # only a pattern that backtracks exponentially takes so long for a line
_MEMORY = 1 << 30  # bytes
_CPU_SECONDS = 60
_DECODED = 32 << 20  # bytes of a file whose encoding is detected; a larger one is read as UTF-8, line by line
_HITS = 500  # lines in a record
_AROUND = 2_000  # characters before and after a match in a long line
_LONGEST = 16 << 20  # bytes of a line; a longer one is searched in pieces
_ESCAPE = lazy_pattern(r"\\(?:[xuU]\{([0-9A-Fa-f]{1,6})\}|.)", re.DOTALL)
_RENAMED = {r"\z": r"\Z", r"\<": r"\m", r"\>": r"\M"}


class _Pattern(Protocol):
    def search(self, string: str, *, timeout: float) -> Any: ...


def main() -> None:
    """Run the search that is described on stdin."""
    request = json.load(sys.stdin.buffer)
    for codec in _CODECS:  # they are imported with our own rights: that user may be unable to read them
        codecs.lookup(codec)
    pattern = _import_pattern(request)
    if user := request["user"]:
        from agent_runtime.system.credentials import FileCredentials

        FileCredentials(user["uid"], user["gid"], tuple(user["groups"])).assume()
    for path in map(Path, request["files"]) if request["files"] is not None else walk(Path(request["base"])):
        if pattern is None:
            _write({"path": str(path), "hits": []})
            continue
        hits = [_sent(hit) for hit in matches(pattern, request["context"], path)]
        for at in range(0, len(hits), _HITS):
            _write({"path": str(path), "hits": hits[at : at + _HITS]})


def _sent(hit: SearchMatch) -> tuple[int, str, bool, int]:
    """A match as it is sent: of a long line only what is around it."""
    start = max(0, hit.at - _AROUND) if len(hit.text) > 2 * _AROUND else 0
    return hit.line, hit.text[start : start + 2 * _AROUND], hit.matches, hit.at - start


def walk(base: Path) -> Iterator[Path]:
    """Yield the regular files below a directory (or the file itself), by name in byte order, without ignored ones."""
    if not base.is_dir():
        yield base
        return
    levels = [_entries(Ignore.at(base))]  # a stack: directories may be nested deeper than calls can be
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
        elif isinstance(entry, Ignore):
            levels.append(_entries(entry))
        else:
            yield entry


def _entries(ignore: Ignore) -> Iterator[Path | Ignore]:
    """What a directory has in it: files, and the rules of further directories."""
    try:
        with os.scandir(ignore.folder) as entries:
            found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError:
        return
    for entry in found:
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name == ".git" or ignore.ignores(entry.name, is_folder=is_folder):
            continue
        if is_folder:
            yield ignore.below(entry.name)
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def matches(pattern: _Pattern, context: int, path: Path) -> list[SearchMatch]:
    """Return the lines of a file that match, with context; none of a file that has a NUL or cannot be read."""
    hits: list[SearchMatch] = []
    before: list[SearchMatch] = []  # lines that may turn out to be context
    after = 0  # lines still to be given as context
    try:
        for number, line in _lines(path):
            if "\0" in line:
                return []
            found = pattern.search(line, timeout=_LINE_SECONDS)
            if found:
                hits += [*before, SearchMatch(number, line, True, found.start())]
                before, after = [], context
            elif after:
                hits.append(SearchMatch(number, line, False))
                after -= 1
            elif context:
                before = [*before, SearchMatch(number, line, False)][-context:]
    except TimeoutError:  # before OSError, of which it is a subclass
        _fail(
            f"The pattern takes too long on a line of {path}: it backtracks (nested repetitions such as "
            "`(a+)+`). Write it more simply."
        )
    except OSError:
        return []
    return hits


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers and without their ends, in the encoding that the read tool would show the file in."""
    with io.BufferedReader(io.FileIO(open_regular(path))) as file:
        head = file.read(_DECODED)
        if len(head) < _DECODED:
            encoding = detect(head)
            text = head[len(encoding.bom) :].decode(encoding.codec, "replace")
            lines = text.split("\n")
            yield from enumerate(
                (line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])), 1
            )
            return
        file.seek(0)
        number = 1
        while line := file.readline(_LONGEST):
            yield number, line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
            number += line.endswith(b"\n")


def _import_pattern(request: dict[str, Any]) -> _Pattern | None:
    """The compiled pattern. Sets limits that then hold for the whole process."""
    import regex  # type: ignore[import-untyped]

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    if request["pattern"] is None:
        return None
    case = regex.IGNORECASE if request["ignore_case"] else 0
    # full case folding (`ß` as `ss`), which ripgrep does not have either, misses matches
    as_ripgrep = ("(?-f)" + _ESCAPE.sub(_translated, request["pattern"]), regex.VERSION1)
    literal = (regex.escape(request["pattern"]), regex.VERSION0)
    # a pattern may be valid in one version of the syntax only: `[[]`
    variants = [literal] if request["literal"] else [as_ripgrep, (request["pattern"], regex.VERSION0)]
    reason: Exception | None = None
    for pattern, version in variants:
        try:
            compiled: _Pattern = regex.compile(pattern, case | version)
            return compiled
        except (regex.error, RecursionError, OverflowError) as error:
            reason = error
    _fail(
        f"The pattern is not a regular expression: {reason}. To search for it as plain text, set `literal`."
    )
    return None


def _translated(escape: re.Match[str]) -> str:
    """The form in `regex` of an escape in ripgrep's patterns."""
    if escape[1]:
        return rf"\U{int(escape[1], 16):08x}"
    return _RENAMED.get(escape[0], escape[0])


def _write(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def _fail(error: str) -> None:
    _write({"error": error})
    sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except MemoryError:
        _fail("The pattern takes too much memory. Write it more simply.")
    except BrokenPipeError:
        os._exit(1)
