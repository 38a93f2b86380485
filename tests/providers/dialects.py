"""Dialects of the three stream formats: each changes the events of a plain stream as some gateway would send them."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from agent_runtime.testing.model_streams import Call, Turn, events

Json = dict[str, Any]
Dialect = Callable[[list[Json]], list[Json]]

TEXT = "I look at it first."
COMMANDS = ["echo ran >> c.txt", "ls -la", 'printf "%s" {}', "echo ran >> d.txt"]


def answer(number: int) -> Turn:
    """A text, and so many calls. Two of them differ in their arguments alone."""
    return Turn(
        TEXT, "hm", calls=[Call("sh", {"cmd": c}, f"call_{i}") for i, c in enumerate(COMMANDS[:number])]
    )


def stream(format: Any, number: int) -> list[Json]:
    chunks = [copy.deepcopy(event) for event in events(answer(number), format, number=1, body={}, pieces=3)]
    chunks[0]["number"] = number
    return chunks


def renumbered(prefix: str) -> Callable[[], str]:
    count = itertools.count()
    return lambda: f"{prefix}{next(count)}"


# --- Chat Completions


def entries(chunks: list[Json]) -> Iterator[Json]:
    for chunk in chunks:
        for choice in chunk["choices"]:
            yield from choice["delta"].get("tool_calls") or ()


def chat_without_ids(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        entry.pop("id", None)
    return chunks


def chat_id_with_every_piece(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        entry["id"] = f"call_{entry['index']}"
    return chunks


def chat_another_id_with_every_piece(chunks: list[Json]) -> list[Json]:
    new = renumbered("rotating_")
    for entry in entries(chunks):
        entry["id"] = new()
    return chunks


def chat_one_id_for_all(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        entry["id"] = "call"
    return chunks


def chat_one_index_for_all(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        entry["index"] = 0
    return chunks


def chat_without_index(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        del entry["index"]
    return chunks


def chat_name_with_every_piece(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        entry["function"]["name"] = "sh"
    return chunks


def whole_chat(chunks: list[Json]) -> Json:
    """The message that the chunks build, as a chunk that is not one."""
    ids = list(dict.fromkeys(entry["id"] for entry in entries(chunks) if entry.get("id")))
    calls: list[Json] = [
        {"id": id, "type": "function", "function": {"name": "sh", "arguments": json.dumps({"cmd": command})}}
        for id, command in zip([*ids, *[None] * 5], COMMANDS[: chunks[0]["number"]], strict=False)
    ]
    message: Json = {"role": "assistant", "content": TEXT} | ({"tool_calls": calls} if calls else {})
    choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": message}
    return {
        "object": "chat.completion",
        "choices": [choice],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9},
    }


def chat_message_at_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks, whole_chat(chunks)]


def chat_message_before_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks[:-2], whole_chat(chunks), *chunks[-2:]]


def chat_message_for_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks[:-2], whole_chat(chunks)]


def chat_message_as_a_delta(chunks: list[Json]) -> list[Json]:
    whole = whole_chat(chunks)
    whole["choices"][0]["delta"] = whole["choices"][0].pop("message")
    return [*chunks, whole]


def chat_message_with_other_ids(chunks: list[Json]) -> list[Json]:
    whole = whole_chat(chunks)
    for call in whole["choices"][0]["message"].get("tool_calls", ()):
        call["id"] = f"other_{call.get('id')}"
    return [*chunks, whole]


def chat_calls_in_the_message_alone(chunks: list[Json]) -> list[Json]:
    whole = whole_chat(chunks)
    for chunk in chunks:
        for choice in chunk["choices"]:
            choice["delta"].pop("tool_calls", None)
    return [*chunks[:-2], whole]


def chat_sent_again(chunks: list[Json]) -> list[Json]:
    return [*chunks, *copy.deepcopy(chunks)]


def chat_calls_sent_again(chunks: list[Json]) -> list[Json]:
    again = [c for c in chunks if any(choice["delta"].get("tool_calls") for choice in c["choices"])]
    return [*chunks, *copy.deepcopy(again)]


def chat_empty_object_first(chunks: list[Json]) -> list[Json]:
    for entry in entries(chunks):
        if "name" in entry["function"]:
            entry["function"]["arguments"] = "{}"
    return chunks


def chat_text_so_far(chunks: list[Json]) -> list[Json]:
    """Every piece of arguments holds all of them up to there."""
    so_far: dict[int, str] = {}
    for entry in entries(chunks):
        index, function = entry["index"], entry["function"]
        so_far[index] = so_far.get(index, "") + function["arguments"]
        function["arguments"] = so_far[index]
    return chunks


def chat_arguments_once_more(chunks: list[Json]) -> list[Json]:
    again = [
        {"index": index, "function": call["function"] | {"name": None}}
        for index, call in enumerate(whole_chat(chunks)["choices"][0]["message"].get("tool_calls", ()))
    ]
    last = {"choices": [{"index": 0, "delta": {"tool_calls": again}}]}
    return [*chunks[:-2], last, *chunks[-2:]] if again else chunks


def chat_calls_in_another_choice(chunks: list[Json]) -> list[Json]:
    for chunk in chunks:
        for choice in chunk["choices"]:
            choice["index"] = 1 if choice["delta"].get("tool_calls") else 0
    return chunks


def chat_two_equal_choices(chunks: list[Json]) -> list[Json]:
    for chunk in chunks:
        chunk["choices"] += [choice | {"index": 1} for choice in copy.deepcopy(chunk["choices"])]
    return chunks


def chat_finished_with_every_chunk(chunks: list[Json]) -> list[Json]:
    for chunk in chunks:
        for choice in chunk["choices"]:
            choice["finish_reason"] = "stop"
    return chunks


# --- Messages


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


# --- Responses


def responses_without_item_ids(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event.pop("item_id", None)
        event.get("item", {}).pop("id", None)
    return chunks


def responses_rotating_item_ids(chunks: list[Json]) -> list[Json]:
    new = renumbered("rotating_")
    for event in chunks:
        if "item_id" in event:
            event["item_id"] = new()
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item:
                item["id"] = new()
    return chunks


def responses_rotating_call_ids(chunks: list[Json]) -> list[Json]:
    new = renumbered("rotating_")
    for event in chunks:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item and "call_id" in item:
                item["call_id"] = new()
    return chunks


def responses_other_ids_in_the_end(chunks: list[Json]) -> list[Json]:
    for item in chunks[-1]["response"]["output"]:
        item["id"] = f"other_{item['id']}"
    return chunks


def responses_no_ids_in_the_end(chunks: list[Json]) -> list[Json]:
    for item in chunks[-1]["response"]["output"]:
        del item["id"]
    return chunks


def responses_without_call_ids(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item:
                item.pop("call_id", None)
    return chunks


def responses_one_call_id_for_all(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        for item in [event.get("item"), *event.get("response", {}).get("output", ())]:
            if item and "call_id" in item:
                item["call_id"] = "call"
    return chunks


def responses_one_place_for_all(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event |= {"output_index": 0} if "output_index" in event else {}
    return chunks


def responses_without_places(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event.pop("output_index", None)
    return chunks


def responses_all_opened_first(chunks: list[Json]) -> list[Json]:
    """Every item is added before any of them grows, and all of them are done at the end."""
    kinds = ["response.created", "added", "delta", "done", "response.completed"]

    def rank(event: Json) -> int:
        if event["type"].startswith("response.output_item"):
            return 1 if event["type"].endswith("added") else 3
        return kinds.index(event["type"]) if event["type"] in kinds else 2

    return sorted(chunks, key=rank)


def responses_places_of_done_shifted(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        if event["type"] == "response.output_item.done":
            event["output_index"] += 1
    return chunks


def responses_never_added(chunks: list[Json]) -> list[Json]:
    return [event for event in chunks if event["type"] != "response.output_item.added"]


def responses_never_done(chunks: list[Json]) -> list[Json]:
    return [event for event in chunks if event["type"] != "response.output_item.done"]


def responses_without_deltas(chunks: list[Json]) -> list[Json]:
    return [event for event in chunks if "output_item" in event["type"] or "response" in event]


def responses_in_the_end_alone(chunks: list[Json]) -> list[Json]:
    return [event for event in chunks if "response" in event]


def responses_empty_end(chunks: list[Json]) -> list[Json]:
    chunks[-1]["response"]["output"] = []
    return chunks


def responses_sent_again(chunks: list[Json]) -> list[Json]:
    return [*chunks, *copy.deepcopy(chunks)]


def responses_items_sent_again(chunks: list[Json]) -> list[Json]:
    return [*chunks, *copy.deepcopy([e for e in chunks if "item" in e]), chunks[-1]]


def responses_every_event_twice(chunks: list[Json]) -> list[Json]:
    return [event for chunk in chunks for event in (chunk, copy.deepcopy(chunk))]


def responses_whole_response_at_the_end(chunks: list[Json]) -> list[Json]:
    return [*chunks, copy.deepcopy(chunks[-1]["response"]) | {"object": "response"}]


def responses_arguments_reordered(chunks: list[Json]) -> list[Json]:
    """The end has the arguments as another serializer writes them, and other ids."""
    for item in chunks[-1]["response"]["output"]:
        if "arguments" in item:
            item["arguments"] = json.dumps(json.loads(item["arguments"]), separators=(",", ":"))
            item |= {"id": "x", "call_id": f"other_{item['call_id']}"}
    return chunks


def responses_without_sequence_numbers(chunks: list[Json]) -> list[Json]:
    for event in chunks:
        event.pop("sequence_number", None)
    return chunks


PREFIXES = {"anthropic": "messages_", "openai-responses": "responses_", "openai-chat": "chat_"}
DIALECTS: dict[str, list[Dialect]] = {
    format: [
        cast("Dialect", value)
        for name, value in globals().copy().items()
        if name.startswith(prefix) and callable(value)
    ]
    for format, prefix in PREFIXES.items()
}
# Pairs of which the second undoes the first, has nothing left to change, or leaves nothing to tell calls apart by.
EXCLUDED = {
    "chat_arguments_once_more": (
        *(
            chat_one_index_for_all,
            chat_without_index,
            chat_name_with_every_piece,
            chat_calls_in_another_choice,
        ),
        *(chat_empty_object_first, chat_text_so_far, chat_calls_sent_again),
    ),
    "chat_text_so_far": (
        chat_one_index_for_all,
        chat_sent_again,
        chat_calls_sent_again,
        chat_two_equal_choices,
    ),
    "chat_empty_object_first": (chat_name_with_every_piece, chat_text_so_far, chat_message_as_a_delta),
    "chat_message_as_a_delta": (
        *(chat_message_at_the_end, chat_message_before_the_end, chat_message_for_the_end),
        *(chat_message_with_other_ids, chat_calls_in_the_message_alone),
    ),
    "chat_two_equal_choices": (chat_calls_in_another_choice,),
    "chat_finished_with_every_chunk": (chat_sent_again,),
    "chat_calls_sent_again": (chat_message_for_the_end,),
    "messages_message_for_the_end": (
        *(messages_calls_in_the_message_alone, messages_blocks_sent_again_after_the_end),
    ),
    "messages_one_index_for_all": (messages_calls_in_the_message_alone, messages_input_once_more),
    "responses_one_call_id_for_all": (responses_never_done,),
    "responses_in_the_end_alone": (responses_empty_end,),
    "responses_every_event_twice": (responses_rotating_item_ids, responses_rotating_call_ids),
}
