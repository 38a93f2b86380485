"""The native form of a turn: the little that must be known about each provider's items to send them back.

Items are sent back to the byte or left out; none is rewritten, but for a call's id, which no provider signs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from agent_runtime.protocol.messages import Native, clean_text

_DATE = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_REASONING = frozenset({"thinking", "redacted_thinking", "reasoning"})
_CALLS = frozenset({"tool_use", "function_call", "custom_tool_call"})  # what we answer
_HOSTED = frozenset({"server_tool_use", "mcp_tool_use"})  # what Anthropic answers, in this turn or the next


def agrees(native: Native, ids: Sequence[str]) -> bool:
    """Does the native form hold these calls, and no other that we would have to answer?"""
    ours: list[str] = []
    others: list[str] = []
    for item in native.items:
        if _type(item) in _CALLS:
            ours.append(str(item.get("call_id") or item.get("id")))
        elif "call_id" in item:
            others.append(str(item["call_id"]))
        ours += [str(call.get("id")) for call in item.get("tool_calls") or ()]
    return len(ids) >= len(ours) and sorted(ids) == sorted([*ours, *(i for i in others if i in ids)])


def rename_calls(native: Native, names: dict[str, str]) -> Native:
    """The same items with other ids for their calls."""

    def renamed(item: dict[str, Any]) -> dict[str, Any]:
        if "tool_calls" in item:
            calls = item["tool_calls"] or ()
            return item | {"tool_calls": [call | {"id": _new(call.get("id"))} for call in calls]}
        key = "id" if item.get("type") == "tool_use" else "call_id"
        return item | {key: _new(item[key])} if key in item else item

    def _new(old: Any) -> Any:
        return names.get(old, old) if isinstance(old, str) else old

    return native.model_copy(update={"items": tuple(renamed(item) for item in native.items)})


def normalize_items(native: Native, model: str | None) -> tuple[Native | None, str]:
    """The form without what would be refused (None: go by the blocks), and what was wrong, if anything."""
    if clean_json(native.items) is not native.items:
        return None, "text that no wire can carry was replaced"
    if native.format != "anthropic":
        items = [item for item in native.items if not _says_nothing(item)]
        return (keep(native, items) if model is None or same_model(native.model, model) else None), ""
    inputs = [item.get("input") for item in native.items if item.get("type") == "tool_use"]
    if not all(isinstance(value, dict) for value in inputs):
        return None, "a call without arguments went by its blocks"
    items = [item for item in native.items if item.get("type") != "text" or str(item.get("text")).strip()]
    if model is not None and not same_model(native.model, model):
        items = [item for item in items if _type(item) not in _REASONING]
    signed = [item for item in items if item.get("type") != "thinking" or item.get("signature")]
    repair = "reasoning without its signature was left out" if len(signed) < len(items) else ""
    return keep(native, signed), repair


def _says_nothing(item: dict[str, Any]) -> bool:
    # a message of Chat Completions; the items of Responses have a type, and are never empty
    if "type" in item:
        return False
    return not any(item.get(key) for key in ("content", "tool_calls", "refusal", "audio"))


def settle(native: Native, answered: frozenset[str]) -> tuple[Native | None, str]:
    """A turn that is over: without hosted calls that nobody answered, and without reasoning at its end."""
    items = [i for i in native.items if _type(i) not in _HOSTED or str(i.get("id")) in answered]
    repair = "" if len(items) == len(native.items) else "a hosted call that nobody answered was left out"
    while items and _type(items[-1]) in _REASONING:
        items.pop()
    return keep(native, items), repair


def answered_hosted(natives: Iterable[Native]) -> frozenset[str]:
    """The ids of all hosted calls that have their result."""
    results = (item.get("tool_use_id") for native in natives for item in native.items)
    return frozenset(id for id in results if isinstance(id, str))


def join(first: Native | None, second: Native | None) -> Native | None:
    """Two turns as one (a provider's pause comes between them), where their form allows it."""
    if first is None or second is None or first.format != second.format or first.format == "openai-chat":
        return None
    return keep(second, [*first.items, *second.items]) if same_model(first.model, second.model) else None


def keep(native: Native, items: Sequence[dict[str, Any]]) -> Native | None:
    """The form with these items only; None when nothing is left."""
    if len(items) == len(native.items):
        return native
    return native.model_copy(update={"items": tuple(items)}) if items else None


def same_model(one: str, other: str) -> bool:
    """Is it the same model? A provider may answer with a dated name for the one it was asked by."""
    return _DATE.sub("", one) == _DATE.sub("", other)


def _type(item: dict[str, Any]) -> str:
    return str(item.get("type"))  # whatever a provider has put there


def clean_json(value: Any) -> Any:
    """The same JSON, fit for a wire: no lone surrogate, no NaN. The same object when nothing is wrong."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return _cleaned(value, 0)
    return value


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if depth > 200:  # no tool takes an argument as deep as this, and no provider either
        return None
    if isinstance(value, dict):
        return {clean_text(str(k)): _cleaned(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(v, depth + 1) for v in value)
    return value
