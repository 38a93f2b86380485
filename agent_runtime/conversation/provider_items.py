"""The native form of a turn: what must be known about each provider's items to send them back.

Items are sent back to the byte or left out. None is rewritten, except for the id of a call, which no provider signs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import Native, clean_text

_DATE = lazy_pattern(r"[-@](\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_REASONING = frozenset({"thinking", "redacted_thinking", "reasoning"})
_CALLS = frozenset({"tool_use", "function_call", "custom_tool_call"})  # what this program answers
_HOSTED = frozenset({"server_tool_use", "mcp_tool_use"})  # what Anthropic answers, in this turn or the next


def agrees(native: Native, ids: Sequence[str]) -> bool:
    """Return whether the native form contains these calls, and no others that would need a result."""
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
    """Return the items with other ids for their calls."""

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
    """The form without items that would be refused, and what was wrong, if anything; None: send the blocks instead.

    Args:
        native: the turn's items.
        model: the model they are for; what was signed for another one is left out. None: whichever made them.
    """
    if clean_json(native.items) is not native.items:
        return None, "text that cannot be encoded was replaced"
    if native.format != "anthropic":
        items = [item for item in native.items if not _is_empty(item)]
        return (keep(native, items) if model is None or same_model(native.model, model) else None), ""
    inputs = [item.get("input") for item in native.items if item.get("type") == "tool_use"]
    if not all(isinstance(value, dict) for value in inputs):
        return None, "a turn with an invalid call was sent as its blocks"
    items = [item for item in native.items if item.get("type") != "text" or str(item.get("text")).strip()]
    if model is not None and not same_model(native.model, model):
        items = [item for item in items if _type(item) not in _REASONING]
    signed = [item for item in items if item.get("type") != "thinking" or item.get("signature")]
    repair = "reasoning without its signature was left out" if len(signed) < len(items) else ""
    return keep(native, signed), repair


def _is_empty(item: dict[str, Any]) -> bool:
    # Responses: without encrypted content or text, reasoning means nothing to a server that has not stored it
    if item.get("type") == "reasoning":
        return not has_reasoning(item)
    if "type" in item:
        return False
    return not any(item.get(key) for key in ("content", "tool_calls", "refusal", "audio"))


def has_reasoning(item: dict[str, Any]) -> bool:
    """Return whether a reasoning item of Responses has reasoning, encrypted or as text; a summary does not count."""
    content = item.get("content")
    texts = (
        [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    )
    return bool(item.get("encrypted_content") or any(texts))


def settle(native: Native, answered: frozenset[str]) -> tuple[Native | None, str]:
    """A finished turn, without hosted calls that have no result, and without reasoning at its end."""
    items = [i for i in native.items if _type(i) not in _HOSTED or str(i.get("id")) in answered]
    repair = "" if len(items) == len(native.items) else "a hosted call without a result was left out"
    while items and _type(items[-1]) in _REASONING:
        items.pop()
    return keep(native, items), repair


def answered_hosted(natives: Iterable[Native]) -> frozenset[str]:
    """Return the ids of all hosted calls that have a result."""
    results = (item.get("tool_use_id") for native in natives for item in native.items)
    return frozenset(id for id in results if isinstance(id, str))


def join(first: Native | None, second: Native | None) -> Native | None:
    """Join two turns, where their format allows it: a provider may pause a turn."""
    if first is None or second is None or first.format != second.format or first.format == "openai-chat":
        return None
    return keep(second, [*first.items, *second.items]) if same_model(first.model, second.model) else None


def keep(native: Native, items: Sequence[dict[str, Any]]) -> Native | None:
    """Return the native form with these items only; None when there are none."""
    if len(items) == len(native.items):
        return native
    return native.model_copy(update={"items": tuple(items)}) if items else None


def same_model(one: str, other: str) -> bool:
    """Return whether two names mean the same model.

    The name in an answer may have a date that the requested name lacks.
    """
    return _DATE.sub("", one) == _DATE.sub("", other)


def _type(item: dict[str, Any]) -> str:
    return str(item.get("type"))  # it may be of any type


def clean_json(value: Any) -> Any:
    """Return the JSON value without lone surrogates and NaN, which cannot be encoded; the same object when it has
    none.
    """
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
    if depth > 200:  # deeper than any tool or provider takes
        return None
    if isinstance(value, dict):
        return {clean_text(str(k)): _cleaned(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(v, depth + 1) for v in value)
    return value
