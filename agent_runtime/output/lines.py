"""One event as one line of at most 1 MiB; a longer event is shortened, and its full text is kept in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.text import truncate_middle

LINE_LIMIT = 1 << 20
# some readers take these characters for line ends
_JOIN = {"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}
# the fields that make an event long
_MAIN_TEXT = {"tool_result": "output", "thinking": "content", "file_edit": "diff", "complete": "output"}
_WHOLE = "structuredOutput"  # a part of it would not satisfy its schema
_NOT_SHORTENED = ("type", "ts", "runId", _WHOLE)


def encode_line(payload: dict[str, Any]) -> str:
    """Encode a JSON object as one line, without lone surrogates and without characters that end a line."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), default=str)
    for char, escape in _JOIN.items():
        if char in text:
            text = text.replace(char, escape)
    return clean_text(text)


def is_too_long(line: str) -> bool:
    """Return whether a line has too many bytes."""
    return len(line) * 4 >= LINE_LIMIT and len(line.encode()) >= LINE_LIMIT


def shortened(payload: dict[str, Any], line: str, folder: Path | None) -> str:
    """Shorten the longest texts and lists of an event until its line is below the limit.

    Args:
        payload: the event; changed.
        line: the same, encoded.
        folder: where the full event is kept; None to keep it nowhere.
    """
    payload["truncated"] = True
    if folder is not None:
        _keep_whole(payload, line, folder)
    if len(encode_line({"": payload.get(_WHOLE)})) > LINE_LIMIT // 2:
        del payload[_WHOLE]  # its text is `output`
    while (excess := len((short := encode_line(payload)).encode()) - LINE_LIMIT) >= 0:
        _shorten_longest(payload, excess)
    return short


def _keep_whole(payload: dict[str, Any], line: str, folder: Path) -> None:
    name = "diffFile" if payload["type"] == "file_edit" else "outputFile"
    if payload.get(name):
        return  # the tool has already saved it
    text = str(payload.get(_MAIN_TEXT.get(payload["type"], ""), ""))
    copies = list(payload.values()).count(text)  # `complete` has its answer twice
    is_main = len(encode_line({"": text})) * copies > len(line) / 2
    path = folder / f"event-{payload['seq']}.{'txt' if is_main else 'json'}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text if is_main else line, "utf-8")
    except OSError as error:
        payload["truncatedReason"] = f"the whole could not be kept: {error}"
    else:
        payload[name] = str(path)


def _shorten_longest(payload: dict[str, Any], excess: int) -> None:
    """Shorten the longest text (keeping its head and tail) or list (keeping its head), at any depth.

    A text is halved. A list loses about `excess` bytes.
    """
    best: tuple[int, Any, Any] = (0, {}, "")
    walk: list[Any] = [payload]
    while walk:
        node = walk.pop()
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, str | list) and len(value) > best[0] and key not in _NOT_SHORTENED:
                size = len(value) if isinstance(value, str) else len(encode_line({"": value}))
                best = max(best, (size, node, key), key=lambda item: item[0])
            if isinstance(value, dict | list) and key != _WHOLE:
                walk.append(value)
    size, node, key = best
    value = node[key]
    if isinstance(value, str):
        half = truncate_middle(value, len(value.encode()) // 2)
        for name in [key, *(name for name in payload if node is payload and payload[name] == value)]:
            node[name] = half  # `complete` has its answer twice
    else:
        kept = len(value) * (1 - (excess + 1) / size)  # if the items are of one length
        node[key] = value[: max(0, min(int(kept), len(value) - 1))]
