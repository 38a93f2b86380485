"""Orders changes so that their diffs apply one after the other, and finds renames among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.entries import Change, Entry
from agent_runtime.git.diff import split_lines
from agent_runtime.git.objects import SYMLINK, UNKNOWN
from agent_runtime.system.byte_paths import base, parent

_SIMILAR = 0.5  # of the longer side's bytes, in lines that both have
_COMPARED = 200  # pairs of contents looked into for one report
_LONGEST = 256 << 10  # bytes of a content that is

Load = Callable[[Entry], bytes | None]


def arrange(changes: Iterable[Change], load: Load, deadline: Deadline) -> list[Change]:
    """Return deletions, moves, modifications and creations, in this order, so that no path is occupied when it is
    needed. After the deadline, no more moves are looked for.
    """
    gone: dict[bytes, Change] = {}
    come: dict[bytes, Change] = {}
    kept: list[Change] = []
    for change in sorted(changes, key=lambda change: change.path):
        if change.old and change.new:
            kept.append(change)
        else:
            (gone if change.old else come)[change.path] = change
    moves = _moves(gone, come, load, deadline) if gone and come else []
    for move in moves:
        del come[move.path]
        assert move.source
        del gone[move.source]
    return [*gone.values(), *moves, *kept, *come.values()]


def _moves(
    gone: dict[bytes, Change], come: dict[bytes, Change], load: Load, deadline: Deadline
) -> list[Change]:
    above = {folder for path in gone for folder in _above(path)}
    # a move is not safe where a path that is deleted is a folder of a created one, or the other way round
    waiting = [
        change for change in come.values()
        if change.path not in above and not any(folder in gone for folder in _above(change.path))
    ]  # fmt: skip
    free = dict(gone)
    moves: list[Change] = []
    for key in (_same_file, _same_content):
        sources: dict[object, list[Change]] = {}
        for change in reversed(free.values()):
            assert change.old
            sources.setdefault(key(change.old), []).append(change)
        rest: list[Change] = []
        for change in waiting:
            assert change.new
            alike = sources.get(key(change.new))
            if alike and key(change.new) and not deadline.passed:
                source = _nearest(alike, change)
                del free[source.path]
                moves.append(Change(change.path, source.old, change.new, source.path))
            else:
                rest.append(change)
        waiting = rest
    if free and waiting and not deadline.passed:
        moves += _similar(list(free.values()), waiting, load)
    return moves


def _same_file(entry: Entry) -> object:
    # mv keeps the inode; the content alone would pair any two empty files
    return (entry.ino, entry.mode == SYMLINK, entry.oid) if entry.oid != UNKNOWN else None


def _same_content(entry: Entry) -> object:
    return (entry.mode == SYMLINK, entry.oid) if entry.size and entry.oid != UNKNOWN else None


def _nearest(sources: list[Change], target: Change) -> Change:
    """Remove and return a source: one of the same name if there is one among the next few."""
    for at in range(len(sources) - 1, max(-1, len(sources) - 100), -1):
        if base(sources[at].path) == base(target.path):
            return sources.pop(at)
    return sources.pop()


def _above(path: bytes) -> Iterator[bytes]:
    while path := parent(path):
        yield path


def _similar(gone: list[Change], come: list[Change], load: Load) -> list[Change]:
    """Files moved and edited between two looks: the same base name first, then those that share most of their lines."""
    pairs = [
        (base(g.path) != base(c.path), g, c)
        for c in come[:_COMPARED]
        for g in gone[:_COMPARED]
        if _comparable(g.old, c.new)
    ]
    pairs.sort(key=lambda pair: pair[0])
    scored = [(*_score(g, c, load), g, c) for _, g, c in pairs[:_COMPARED]]
    scored.sort(key=lambda item: item[:2], reverse=True)
    moves: list[Change] = []
    used: set[bytes] = set()
    for score, _, g, c in scored:
        if score >= _SIMILAR and g.path not in used and c.path not in used:
            used |= {g.path, c.path}
            moves.append(Change(c.path, g.old, c.new, g.path))
    return moves


def _comparable(old: Entry | None, new: Entry | None) -> bool:
    if not old or not new or SYMLINK in (old.mode, new.mode):
        return False
    small, large = sorted((old.size, new.size))
    return 0 < large <= _LONGEST and small >= _SIMILAR * large


def _score(gone: Change, come: Change, load: Load) -> tuple[float, bool]:
    assert gone.old and come.new
    a, b = load(gone.old), load(come.new)
    if a is None or b is None or b"\0" in a or b"\0" in b:
        return 0.0, False
    left: dict[bytes, int] = {}
    for line in split_lines(a):
        left[line] = left.get(line, 0) + 1
    shared = 0
    for line in split_lines(b):
        if left.get(line, 0):
            left[line] -= 1
            shared += len(line)
    return shared / max(len(a), len(b), 1), base(gone.path) == base(come.path)
