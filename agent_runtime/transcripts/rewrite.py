"""Changing texts in a recording: keys when it is written, the workspace's path when it is played back.

A provider streams a text in pieces, and what is to be changed may be spread over several of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent_runtime.output.masking import MASK

Change = Callable[[str], str]
Streams = dict[tuple[Any, ...], list[tuple[Any, Any, str]]]  # place -> (container, key, text)

_SECRET_FIELDS = frozenset({"apikey", "authorization", "xapikey"})
_IDENTITY = ("type", "index", "output_index", "content_index", "summary_index", "item_id")


def rewrite_chunks(chunks: Sequence[dict[str, Any]], change: Change) -> tuple[dict[str, Any], ...]:
    """The same chunks with their texts changed, also where the change is spread over several pieces.

    Pieces that belong together are those at the same place of chunks of the same type and index. When
    changing their sum is not the same as changing each, the first piece takes it all, the others nothing.
    """
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
    """The same JSON value with every text in it changed; names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: rewrite(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rewrite(item, change) for item in value]
    return value


def path_change(old: str, new: str) -> Change:
    """Replaces the path `old`, also as a beginning of others; `/work` is not in `/workshop` or `/my/work`."""
    if old == new or not Path(old).name:
        return lambda text: text
    pattern = re.compile(rf"(?<![\w.\-/]){re.escape(old)}(?![\w\-]|\.\w)")
    return lambda text: pattern.sub(lambda _: new, text) if old in text else text


def without_secrets(value: Any) -> Any:
    """The same JSON value, masked where a field is named as a key, also when the key is known to nobody."""
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


def _collect(value: Any, place: tuple[Any, ...], streams: Streams, change: Change) -> Any:
    """A changed copy of `value`; its texts are noted in `streams` under the place where they belong."""
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
