"""Lists of changed files that are too long for `complete`: notices that together contain them."""

from __future__ import annotations

from collections.abc import Iterator

from agent_runtime.protocol import events

_PART = 700 << 10  # bytes of names in one event
_SHORT = 16 << 10  # characters of lists that `complete` has space for in any case


def file_lists(event: events.CompleteEvent) -> list[events.NoticeEvent]:
    """Return the notices `changed_files` that come before a `complete` that does not fit a line.

    Each has some of the names in `details.files` and `details.deletedFiles`; together they have all names, in order.
    """
    names = [("files", name) for name in event.files] + [
        ("deletedFiles", name) for name in event.deleted_files
    ]
    if sum(len(name) for _, name in names) <= _SHORT:
        return []
    parts = list(_parts(names))
    count = f"{len(event.files)} changed and {len(event.deleted_files)} deleted files"
    return [
        events.NoticeEvent(
            code="changed_files",
            message=f"{count}: part {number} of {len(parts)} of their names",
            details={**part, "part": number, "parts": len(parts)},
        )
        for number, part in enumerate(parts, 1)
    ]


def _parts(names: list[tuple[str, str]]) -> Iterator[dict[str, list[str]]]:
    part: dict[str, list[str]] = {"files": [], "deletedFiles": []}
    size = 0
    for field, name in names:
        length = len(name) * (1 if name.isascii() and name.isprintable() else 6) + name.count('"') + 3
        length += name.count("\\")
        if size + length > _PART and size:
            yield part
            part, size = {"files": [], "deletedFiles": []}, 0
        part[field].append(name)
        size += length
    yield part
