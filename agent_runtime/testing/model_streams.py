"""Encodes a scripted turn in each wire format: the JSON objects of the server-sent events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from agent_runtime.testing.turns import Json, Turn

WireFormat = Literal["anthropic", "openai-responses", "openai-chat"]


def events(turn: Turn, format: WireFormat, *, number: int, body: Json, pieces: int = 3) -> list[Json]:
    """Return the events of a turn. `number` makes ids unique, `body` is the request, texts are split into `pieces`."""
    if isinstance(turn.raw, Path):
        return [json.loads(line) for line in turn.raw.read_text("utf-8").splitlines() if line.strip()]
    if turn.raw is not None:
        return list(turn.raw)
    make = {"anthropic": _anthropic, "openai-responses": _responses, "openai-chat": _chat}[format]
    return list(make(turn, number, body, pieces))


def sign(text: str) -> str:
    """Return the signature (or encrypted form) of a reasoning text, which later requests must repeat."""
    return "signature-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def cut(text: str, pieces: int) -> list[str]:
    """Split a text into pieces, deliberately without regard to escape sequences in it."""
    step = max(1, -(-len(text) // pieces))
    return [text[i : i + step] for i in range(0, len(text), step)]


def _stop(turn: Turn, names: Mapping[str, str]) -> str:
    stop = turn.stop or ("tool_calls" if turn.calls else "end_turn")
    return names.get(stop, stop)


def _anthropic(turn: Turn, number: int, body: Json, pieces: int) -> Iterator[Json]:
    use = {"input": 0, "output": 0, "cached": 0, "written": 0} | dict(turn.usage)
    usage = {
        "input_tokens": use["input"] - use["cached"] - use["written"],
        "cache_read_input_tokens": use["cached"],
        "cache_creation_input_tokens": use["written"],
        "output_tokens": 1,
    }
    message = {"id": f"msg_{number:04d}", "type": "message", "role": "assistant", "model": turn.model}
    opening: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message | opening}
    yield {"type": "ping"}
    blocks: list[tuple[Json, list[Json]]] = []
    if turn.redacted:
        blocks.append(({"type": "redacted_thinking", "data": sign(f"redacted {number}")}, []))
    if turn.thinking:
        deltas = [{"type": "thinking_delta", "thinking": p} for p in cut(turn.thinking, pieces)]
        deltas.append({"type": "signature_delta", "signature": sign(turn.thinking)})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if turn.text:
        deltas = [{"type": "text_delta", "text": p} for p in cut(turn.text, pieces)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call in turn.named_calls(number):
        deltas = [{"type": "input_json_delta", "partial_json": p} for p in ["", *cut(call.text, pieces)]]
        blocks.append(({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    names = {"tool_calls": "tool_use", "context_overflow": "model_context_window_exceeded"}
    ended = {"stop_reason": _stop(turn, names), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": usage | {"output_tokens": use["output"]}}
    yield {"type": "message_stop"}


def _responses(turn: Turn, number: int, body: Json, pieces: int) -> Iterator[Json]:
    for sequence, event in enumerate(_responses_events(turn, number, body, pieces)):
        yield event | {"sequence_number": sequence}


def _responses_events(turn: Turn, number: int, body: Json, pieces: int) -> Iterator[Json]:
    response: Json = {"id": f"resp_{number:04d}", "object": "response", "model": turn.model, "output": []}
    yield {"type": "response.created", "response": response | {"status": "in_progress", "usage": None}}
    output: list[Json] = []
    for opening, inner, closing in _responses_items(turn, number, body, pieces):
        at = {"item_id": opening["id"], "output_index": len(output)}
        yield {"type": "response.output_item.added", "output_index": len(output), "item": opening}
        for event in inner:
            yield event | at
        yield {"type": "response.output_item.done", "output_index": len(output), "item": opening | closing}
        output.append(opening | closing)
    reason = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}.get(_stop(turn, {}))
    ended = {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": _responses_usage(turn),
    }
    yield {"type": f"response.{ended['status']}", "response": response | ended}


def _responses_items(
    turn: Turn, number: int, body: Json, pieces: int
) -> Iterator[tuple[Json, list[Json], Json]]:
    """Yield each output item: its opening, the events inside it, and the fields of its end."""
    if turn.thinking:
        part: Json = {"type": "summary_text", "text": turn.thinking}
        inner = _part("response.reasoning_summary_part", "response.reasoning_summary_text", part, pieces)
        opening: Json = {
            "type": "reasoning",
            "id": f"rs_{number:04d}",
            "summary": [],
            "encrypted_content": "",
        }
        yield opening, inner, {"summary": [part], "encrypted_content": sign(turn.thinking)}
    if turn.text:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": turn.text}
        inner = _part("response.content_part", "response.output_text", part, pieces)
        opening = {"type": "message", "id": f"msg_{number:04d}", "role": "assistant", "content": []}
        yield opening | {"status": "in_progress"}, inner, {"status": "completed", "content": [part]}
    custom = {t.get("name") for t in body.get("tools", []) if t.get("type") == "custom"}
    for i, call in enumerate(turn.named_calls(number)):
        free = call.name in custom
        key, event = ("input", "custom_tool_call_input") if free else ("arguments", "function_call_arguments")
        inner = [{"type": f"response.{event}.delta", "delta": p} for p in cut(call.text, pieces)]
        inner.append({"type": f"response.{event}.done", key: call.text})
        opening = {
            "type": "custom_tool_call" if free else "function_call",
            "id": f"{'ctc' if free else 'fc'}_{number:04d}_{i}",
            "call_id": call.id,
            "name": call.name,
            "status": "in_progress",
            key: "",
        }
        yield opening, inner, {key: call.text, "status": "completed"}


def _part(part_event: str, text_event: str, part: Json, pieces: int) -> list[Json]:
    at: Json = {"summary_index" if "summary" in part_event else "content_index": 0}
    return [
        at | {"type": f"{part_event}.added", "part": part | {"text": ""}},
        *(at | {"type": f"{text_event}.delta", "delta": p} for p in cut(part["text"], pieces)),
        at | {"type": f"{text_event}.done", "text": part["text"]},
        at | {"type": f"{part_event}.done", "part": part},
    ]


def _responses_usage(turn: Turn) -> Json:
    use = {"input": 0, "output": 0, "cached": 0, "reasoning": 0} | dict(turn.usage)
    return {
        "input_tokens": use["input"],
        "input_tokens_details": {"cached_tokens": use["cached"]},
        "output_tokens": use["output"],
        "output_tokens_details": {"reasoning_tokens": use["reasoning"]},
        "total_tokens": use["input"] + use["output"],
    }


def _chat(turn: Turn, number: int, body: Json, pieces: int) -> Iterator[Json]:
    base = {
        "id": f"chatcmpl-{number:04d}",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": turn.model,
    }

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}

    yield chunk({"role": "assistant", "content": ""})
    for piece in cut(turn.thinking, pieces):
        yield chunk({"reasoning_content": piece})
    for piece in cut(turn.text, pieces):
        yield chunk({"content": piece})
    for index, call in enumerate(turn.named_calls(number)):
        head: Json = {"index": index, "id": call.id, "type": "function"}
        yield chunk({"tool_calls": [head | {"function": {"name": call.name, "arguments": ""}}]})
        for piece in cut(call.text, pieces):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, _stop(turn, {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}))
    use = {"input": 0, "output": 0, "cached": 0, "reasoning": 0} | dict(turn.usage)
    usage = {
        "prompt_tokens": use["input"],
        "completion_tokens": use["output"],
        "total_tokens": use["input"] + use["output"],
        "prompt_tokens_details": {"cached_tokens": use["cached"]},
        "completion_tokens_details": {"reasoning_tokens": use["reasoning"]},
    }
    yield base | {"choices": [], "usage": usage}
