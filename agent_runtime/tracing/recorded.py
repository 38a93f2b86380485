"""The spans of a recorded run, from its events; the ids follow from the run's id, so that they are always the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from agent_runtime.agent.trace import Span, valid_traceparent
from agent_runtime.protocol.messages import Usage
from agent_runtime.tracing import names
from agent_runtime.version import VERSION

Json = dict[str, Any]


def spans_of(events: Iterable[Mapping[str, Any]], traceparent: str | None = None) -> list[Span]:
    """Return the spans of a run, the run itself first.

    A model call is taken to last from the event before it to its `usage` event.

    Args:
        events: the events of the run.
        traceparent: the trace context of the recorded request.
    """
    builder = _Builder(valid_traceparent(traceparent))
    for event in events:
        builder.take(event)
    return builder.spans


def otlp_json(spans: Iterable[Span]) -> Json:
    """Return spans as the JSON form of an OTLP request for traces."""
    resource = {"attributes": _attributes({"service.name": names.SCOPE, "service.version": VERSION})}
    scope = {"name": names.SCOPE, "version": VERSION}
    return {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(map(_span, spans))}]}
        ]
    }


class _Builder:
    def __init__(self, traceparent: str) -> None:
        self._outer = traceparent
        self.spans: list[Span] = []
        self._calls: dict[str, Span] = {}
        self._last = 0  # when the model call that is under way began

    def take(self, event: Mapping[str, Any]) -> None:
        now = _nanoseconds(str(event["ts"]))
        match event["type"]:
            case "start":
                self._begin(event, now)
            case "usage" if self.spans:
                self._chat(event, now)
            case "tool_call" if self.spans:
                name, call_id = str(event["tool"]), str(event["id"])
                span = self._child(f"execute_tool {name}", now, now, names.tool_attributes(name, call_id))
                self._calls[call_id] = span
            case "tool_result" if event["id"] in self._calls:
                span = self._calls.pop(str(event["id"]))
                span.end = span.start + int(event.get("durationMs") or 0) * 1_000_000
                if event.get("isError"):
                    span.fail(str(event["outcome"]))
            case "complete" if self.spans:
                self._end(event, now)
        if event["type"] in ("start", "tool_result", "usage"):
            self._last = now
        if self.spans:
            self.spans[0].end = max(self.spans[0].end, now)

    def _begin(self, event: Mapping[str, Any], now: int) -> None:
        run_id, agent = str(event["runId"]), str(event["agent"])
        digest = sha256(run_id.encode()).hexdigest()
        trace_id, parent = self._outer.split("-")[1:3] if self._outer else (digest[:32], "")
        attributes = names.run_attributes(
            agent, str(event["provider"]), str(event["model"]), run_id, event.get("threadId")
        )
        self.spans.append(
            Span(f"invoke_agent {agent}", trace_id, digest[32:48], parent, "internal", now, now, attributes)
        )

    def _chat(self, event: Mapping[str, Any], now: int) -> None:
        run = self.spans[0].attributes
        model = run[names.REQUEST_MODEL]
        attributes = names.chat_attributes(run[names.PROVIDER], model)
        counts = {name: int(event.get(_camel(name)) or 0) for name in _COUNTS}
        span = self._child(
            f"chat {model}",
            self._last,
            now,
            attributes | names.usage_attributes(Usage.model_validate(counts)),
        )
        span.kind = "client"
        if event.get("costUsd") is not None:
            span.attributes[names.COST] = event["costUsd"]

    def _end(self, event: Mapping[str, Any], now: int) -> None:
        run, usage = self.spans[0], event.get("usage") or {}
        run.attributes |= {
            names.INPUT_TOKENS: int(usage.get("inputTokens") or 0),
            names.OUTPUT_TOKENS: int(usage.get("outputTokens") or 0),
            names.STOP_REASON: str(event.get("stopReason")),
        }
        if usage.get("costUsd") is not None:
            run.attributes[names.COST] = usage["costUsd"]
        if event.get("status") != "completed":
            error = event.get("error") or {}
            run.fail(str(error.get("code") or event.get("stopReason")), str(error.get("message") or ""))

    def _child(self, name: str, start: int, end: int, attributes: Json) -> Span:
        run = self.spans[0]
        span_id = sha256(f"{run.span_id} {len(self.spans)}".encode()).hexdigest()[:16]
        span = Span(name, run.trace_id, span_id, run.span_id, "internal", start, end, attributes)
        self.spans.append(span)
        return span


_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _nanoseconds(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000) * 1_000_000


def _span(span: Span) -> Json:
    errors = {names.ERROR: span.error} if span.error else {}
    found: Json = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": 3 if span.kind == "client" else 1,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes | errors),
        "status": {"code": 2, "message": span.message} if span.error else {},
    }
    return found | ({"parentSpanId": span.parent_id} if span.parent_id else {})


def _attributes(attributes: Mapping[str, Any]) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Any) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list | tuple):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}
