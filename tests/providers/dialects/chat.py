"""Dialects of Chat Completions streams."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

from tests.providers.dialects.plain import COMMANDS, TEXT, Json, renumbered


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
