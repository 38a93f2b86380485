"""Dialects of Messages streams."""

from __future__ import annotations

import copy
import json

from tests.providers.dialects.plain import Json


def whole_messages(chunks: list[Json]) -> Json:
    blocks: dict[int, Json] = {}
    for event in chunks:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = copy.deepcopy(event["content_block"])
        elif event["type"] == "content_block_delta":
            block = blocks[event["index"]]
            for name in ("text", "thinking", "signature", "partial_json"):
                if name in event["delta"]:
                    block[name] = block.get(name, "") + event["delta"][name]
    for block in blocks.values():
        if "partial_json" in block:
            block["input"] = json.loads(block.pop("partial_json"))
    reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks.values()) else "end_turn"
    message: Json = chunks[0]["message"] | {"content": list(blocks.values()), "stop_reason": reason}
    return message | {"type": "message", "usage": {"input_tokens": 9, "output_tokens": 9}}


def messages_message_at_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks, whole_messages(chunks)]


def messages_message_before_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks[:-1], whole_messages(chunks), chunks[-1]]


def messages_message_for_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks[:-2], whole_messages(chunks)]


def messages_message_without_ids(chunks: list[Json]) -> list[Json]:
    whole = whole_messages(chunks)
    whole.pop("id", None)
    for block in whole["content"]:
        block.pop("id", None)
    return [*chunks, whole]


def messages_calls_in_the_message_alone(chunks: list[Json]) -> list[Json]:
    whole, calls = whole_messages(chunks), set()
    for event in chunks:
        if event.get("content_block", {}).get("type") == "tool_use":
            calls.add(event["index"])
    return [*(event for event in chunks[:-2] if event.get("index") not in calls), whole]


def messages_sent_again(chunks: list[Json]) -> list[Json]:
    return [*chunks, *copy.deepcopy(chunks)]


def messages_sent_again_without_ids(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event.get("message", {}).pop("id", None)
        event.get("content_block", {}).pop("id", None)
    return [*chunks, *copy.deepcopy(chunks)]


def messages_blocks_sent_again(chunks: list[Json]) -> list[Json]:
    return [*chunks[:-2], *copy.deepcopy([e for e in chunks if "block" in e["type"]]), *chunks[-2:]]


def messages_blocks_sent_again_after_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks, *copy.deepcopy([e for e in chunks if "block" in e["type"]])]


def messages_one_id_for_all(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        if event.get("content_block", {}).get("type") == "tool_use":
            event["content_block"]["id"] = "toolu"
    return chunks


def messages_without_ids(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event.get("content_block", {}).pop("id", None)
    return chunks


def messages_one_index_for_all(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event |= {"index": 0} if "index" in event else {}
    return chunks


def messages_starts_twice(chunks: list[Json]) -> list[Json]:
    is_call = [event.get("content_block", {}).get("type") == "tool_use" for event in chunks]
    return [e for event, twice in zip(chunks, is_call, strict=True) for e in ([event] * (2 if twice else 1))]


def messages_input_at_the_start_too(chunks: list[Json]) -> list[Json]:
    inputs = [block.get("input") for block in whole_messages(chunks)["content"]]
    for event in chunks:
        if event.get("content_block", {}).get("type") == "tool_use":
            event["content_block"]["input"] = inputs[event["index"]]
    return chunks


def messages_input_once_more(chunks: list[Json]) -> list[Json]:
    inputs = [block.get("input") for block in whole_messages(chunks)["content"]]
    changed: list[Json] = []
    for event in chunks:
        if event["type"] == "content_block_stop" and inputs[event["index"]] is not None:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(inputs[event["index"]])}
            changed.append({"type": "content_block_delta", "index": event["index"], "delta": delta})
        changed.append(event)
    return changed
