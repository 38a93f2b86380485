"""Dialects of Responses streams."""

from __future__ import annotations

import copy
import json

from tests.providers.dialects.plain import Json, renumbered


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
