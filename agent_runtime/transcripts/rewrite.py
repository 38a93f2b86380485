"""Rewrites texts in transcripts: masks secrets when they are written, replaces the workspace's path in a replay.

Providers stream texts in pieces, and a text to be replaced may be spread over several of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from agent_runtime.output.masking import MASK

Change = Callable[[str], str]
Streams = dict[tuple[Any, ...], list[tuple[Any, Any, str]]]  # place -> (container, key, text)

_SECRET_FIELDS = frozenset({"apikey", "authorization", "xapikey"})
_IDENTITY = ("type", "index", "output_index", "content_index", "summary_index", "item_id")


def rewrite_chunks(chunks: Sequence[dict[str, Any]], change: Change) -> tuple[dict[str, Any], ...]:
    """Return the chunks with their texts changed, including texts that are spread over several chunks.

    Pieces belong to the same text when they have the same position in chunks of the same type and index. When changing
    the whole text differs from changing its pieces, the first piece receives the whole text, the others none.
    """
    if not _has_changes(chunks, change):
        return tuple(chunks)
    streams: Streams = {}
    copies = tuple(_collect(chunk, (), streams, change) for chunk in chunks)
    for pieces in streams.values():
        if len(pieces) < 2:
            continue
        changed = change("".join(text for _, _, text in pieces))
        if changed != "".join(container[key] for container, key, _ in pieces):
            for number, (container, key, _) in enumerate(pieces):
                container[key] = "" if number else changed
    return copies


def rewrite(value: Any, change: Change) -> Any:
    """Return the JSON value with all strings changed, except for field names."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: rewrite(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rewrite(item, change) for item in value]
    return value


def path_change(old: str, new: str) -> Change:
    """Return a function that replaces the path `old`, also at the beginning of longer paths.

    `/work` does not match in `/workshop` or `/my/work`.
    """
    if old == new or not Path(old).name:
        return lambda text: text
    pattern = re.compile(rf"(?<![\w.\-/]){re.escape(old)}(?![\w\-]|\.\w)")
    return lambda text: pattern.sub(lambda _: new, text) if old in text else text


def without_secrets(value: Any) -> Any:
    """Return the JSON value with the values of fields masked whose names say that they are keys."""
    if isinstance(value, dict):
        return {
            key: MASK if _is_secret(key) and isinstance(item, str) and item else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def _is_secret(name: object) -> bool:
    return str(name).lower().replace("_", "").replace("-", "") in _SECRET_FIELDS


def _has_changes(chunks: Sequence[dict[str, Any]], change: Change) -> bool:
    """Return whether any text may change. This is quick, because few responses contain anything to be changed."""
    texts: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    try:
        for chunk in chunks:
            _gather(chunk, (), texts)
    except TypeError:  # a list or an object where chunks have a type or an index
        return True
    # a line end separates the texts: nothing that is changed begins or ends with one
    together = "\n".join(map("".join, texts.values()))
    return change(together) != together


def _gather(value: Any, place: tuple[Any, ...], texts: defaultdict[tuple[Any, ...], list[str]]) -> None:
    """Add the strings of `value` to `texts` by their position, as `_collect` does."""
    items: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        place = (place, *map(value.get, _IDENTITY))
        items = value.items()
    else:
        items = enumerate(value)
    for key, item in items:
        if type(item) is str:
            texts[place, key].append(item)
        elif isinstance(item, dict | list | tuple):
            _gather(item, (place, key), texts)


def _collect(value: Any, place: tuple[Any, ...], streams: Streams, change: Change) -> Any:
    """Return a changed copy of `value`, and add its strings to `streams` by their position."""
    if isinstance(value, dict):
        place = (*place, *(str(value.get(name)) for name in _IDENTITY))
    elif not isinstance(value, list | tuple):
        return change(value) if isinstance(value, str) else value
    copy: Any = {} if isinstance(value, dict) else [None] * len(value)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, str) and key not in _IDENTITY:
            streams.setdefault((*place, key), []).append((copy, key, item))
        copy[key] = _collect(item, (*place, key), streams, change)
    return copy
