"""Validates requests as a strict provider does: the rules of each wire format for a conversation."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator

from agent_runtime.testing.answer_checks import answer_violations
from agent_runtime.testing.model_streams import WireFormat
from agent_runtime.testing.turns import Json

_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def violations(format: WireFormat, body: Json, signatures: set[str]) -> list[str]:
    """Return what is wrong with a request. `signatures` are those that the server has issued; others are refused."""
    check = {"anthropic": _anthropic, "openai-responses": _responses, "openai-chat": _chat}[format]
    found = list(check(body, signatures))
    if _SURROGATE.search(json.dumps(body, ensure_ascii=False)):
        found.append("a lone surrogate in the request")
    found += answer_violations(format, body)
    if not body.get("stream") and "anthropic_version" not in body:
        found.append("stream: expected true")
    names = Counter(_tool_name(tool) for tool in body.get("tools", []))
    found += [f"tools: duplicate {name}" for name, n in names.items() if n > 1]
    found += [f"tools: bad name {name!r}" for name in names if not _NAME.match(name)]
    return found


def _tool_name(tool: Json) -> str:
    return str(tool.get("name") or tool.get("function", {}).get("name") or tool.get("type"))


def _anthropic(body: Json, signatures: set[str]) -> Iterator[str]:
    yield from _anthropic_parameters(body)
    messages: list[Json] = body.get("messages") or []
    if not messages or messages[0].get("role") != "user":
        yield "messages: first message must use the user role"
    if any(before["role"] == after["role"] for before, after in itertools.pairwise(messages)):
        yield "messages: roles must alternate"
    if messages and messages[-1]["role"] != "user" and "server_tool_use" not in json.dumps(messages[-1]):
        yield "messages: this model does not support assistant message prefill"
    owed: list[str] = []
    seen: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages.{number}"
        content = message["content"]
        blocks: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not blocks:
            yield f"{where}: content must not be empty"
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if sorted(results) != sorted(owed):
            yield f"{where}: tool_use ids {owed} need exactly one tool_result each, found {results}"
        if any(b["type"] == "tool_result" for b in blocks[len(results) :]):
            yield f"{where}: tool_result blocks must come first"
        owed = [b["id"] for b in blocks if b["type"] == "tool_use"]
        if len(set(owed)) != len(owed) or seen.intersection(owed):
            yield f"{where}: tool_use ids must be unique"
        seen.update(owed)
        for block in blocks:
            yield from (f"{where}: {fault}" for fault in _anthropic_block(block, signatures))
    if owed:
        yield f"tool_use ids were found without tool_result blocks immediately after: {owed}"


def _anthropic_parameters(body: Json) -> Iterator[str]:
    cap = body.get("max_tokens")
    if not isinstance(cap, int) or cap < 1:
        yield "max_tokens: expected a positive integer"
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < (cap or 0):
        yield "thinking.budget_tokens: at least 1024 and less than max_tokens"
    if thinking.get("type") in ("enabled", "adaptive") and body.get("temperature", 1) != 1:
        yield "temperature may only be 1 when thinking is enabled"
    marked = json.dumps([body.get("system"), body.get("tools"), body.get("messages")])
    if marked.count('"cache_control"') > 4:
        yield "cache_control: a maximum of 4 blocks may be marked"


def _anthropic_block(block: Json, signatures: set[str]) -> Iterator[str]:
    kind = block["type"]
    if kind == "text" and not block["text"].strip():
        yield "text content blocks must contain non-whitespace text"
    if kind == "thinking" and block.get("signature") not in signatures:
        yield "thinking: invalid signature"
    if kind == "redacted_thinking" and block.get("data") not in signatures:
        yield "redacted_thinking: invalid data"
    if kind in ("thinking", "redacted_thinking") and "cache_control" in block:
        yield f"{kind}: cache_control is not allowed"
    if kind == "tool_use" and not (_ID.match(block["id"]) and isinstance(block["input"], dict)):
        yield "tool_use: expected an object as input and an id of letters, digits, _ and -"
    if kind == "tool_result" and block.get("is_error") and not isinstance(block.get("content", ""), str):
        yield from (
            "tool_result: an error carries text only" for p in block["content"] if p["type"] != "text"
        )


def _responses(body: Json, signatures: set[str]) -> Iterator[str]:
    items: list[Json] = body.get("input") or []
    if not items:
        yield "input: expected at least one item"
    calls: dict[str, str] = {}
    answered: Counter[str] = Counter()
    for number, item in enumerate(items):
        where, kind = f"input[{number}]", item.get("type", "message")
        if kind in ("function_call", "custom_tool_call"):
            if item["call_id"] in calls or not item["call_id"] or len(item["call_id"]) > 64:
                yield f"{where}: call_id {item['call_id']!r} is not unique, empty or too long"
            calls[item["call_id"]] = kind
            if not isinstance(item["input" if kind == "custom_tool_call" else "arguments"], str):
                yield f"{where}: expected a string"
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if calls.get(item["call_id"]) != kind.removesuffix("_output"):
                yield f"{where}: no tool call found for {kind} with call_id {item['call_id']}"
            answered[item["call_id"]] += 1
        elif kind == "reasoning":
            following = items[number + 1] if number + 1 < len(items) else {"role": "user"}
            if following.get("role") == "user" or str(following.get("type")).endswith("_output"):
                yield f"{where}: item of type reasoning was provided without its required following item"
            if item.get("encrypted_content") and item["encrypted_content"] not in signatures:
                yield f"{where}: the encrypted content could not be verified"
        elif kind == "message" and item.get("role") not in ("user", "assistant", "system", "developer"):
            yield f"{where}: role {item.get('role')!r}"
    yield from (f"no tool output found for call {c}" for c in calls if answered[c] == 0)
    yield from (f"duplicate output for call {c}" for c in calls if answered[c] > 1)


def _chat(body: Json, signatures: set[str]) -> Iterator[str]:
    owed: list[str] = []
    messages: list[Json] = body.get("messages") or []
    if not messages:
        yield "messages: expected at least one message"
    for number, message in enumerate(messages):
        where, role = f"messages[{number}]", message.get("role")
        if role == "tool":
            if message.get("tool_call_id") in owed:
                owed.remove(message["tool_call_id"])
            else:
                yield f"{where}: role tool must answer a preceding tool call, once"
        elif owed:
            yield f"{where}: an assistant message with tool_calls must be followed by tool messages: {owed}"
        if role == "assistant":
            owed = [call["id"] for call in message.get("tool_calls") or []]
        yield from (f"{where}: {fault}" for fault in _chat_message(message))
    if owed:
        yield f"tool calls without tool messages: {owed}"


def _chat_message(message: Json) -> Iterator[str]:
    role, content, calls = message.get("role"), message.get("content"), message.get("tool_calls")
    if role not in ("system", "developer", "user", "assistant", "tool"):
        yield f"role {role!r}"
    if role == "tool" and isinstance(content, list) and any(p["type"] != "text" for p in content):
        yield "tool messages carry text only"
    if not content and not (role == "tool" or calls):
        yield "content must not be empty"
    if calls is not None:
        ids = [call["id"] for call in calls]
        if not ids or len(set(ids)) != len(ids) or not all(ids):
            yield "tool_calls: expected at least one, with ids that are unique and not empty"
        yield from (fault for call in calls for fault in _chat_arguments(call))


def _chat_arguments(call: Json) -> Iterator[str]:
    try:
        value = json.loads(call["function"]["arguments"])
    except ValueError:
        value = None
    if not isinstance(value, dict):
        yield "tool_calls.function.arguments: expected the text of a JSON object"
