"""A recorded run as a trajectory in the Agent Trajectory Interchange Format (ATIF), version 1.8.

A step is the system prompt, a message of the user, or a turn of the model with its calls and their results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from agent_runtime.lazy import dataclass
from agent_runtime.transcripts.records import EventRecord, Header, PromptRecord, RequestRecord
from agent_runtime.version import VERSION

SCHEMA = "ATIF-v1.8"
NAME = "agent-runtime"

Json = dict[str, Any]


def trajectory(records: Iterable[Any]) -> Json:
    """Return the trajectory of a run.

    Args:
        records: the records of its transcript, or event records alone: then the trajectory has no system prompt and no
            message of the user, and its `notes` say so.

    Raises:
        ValueError: the run has no step: it ended before its first model call.
    """
    builder = _Builder()
    for record in records:
        if isinstance(record, Header):
            if record.created_at:
                builder.began = datetime.fromisoformat(record.created_at)
        elif isinstance(record, RequestRecord):
            builder.imported = record.resolved.get("imported") or {}
        elif isinstance(record, PromptRecord):
            builder.prompt(record)
        elif isinstance(record, EventRecord):
            builder.event(record.event)
    return builder.finish()


@dataclass
class _Builder:
    began: datetime | None = None
    # the program that recorded the session, and its version
    imported: Mapping[str, str] = field(default_factory=dict)
    steps: list[Json] = field(default_factory=list)
    _turns: dict[int, Json] = field(default_factory=dict)
    _start: Mapping[str, Any] = field(default_factory=dict)
    _complete: Mapping[str, Any] = field(default_factory=dict)
    _tools: list[Json] = field(default_factory=list)
    _has_prompts: bool = False

    def prompt(self, record: PromptRecord) -> None:
        """Add what is new in a model call. Turns of this run come with their events instead."""
        when = self._time(record)
        if record.system and not self._has_prompts:
            self._add("system", record.system, when)
        if record.tools is not None:
            self._tools = [{"type": "function", "function": dict(tool)} for tool in record.tools]
        for message in record.messages if not record.replaced else ():
            if message["role"] == "user":
                self._user(message["blocks"], when)
            elif not self._has_prompts:  # of the history before this run
                self._earlier(message["blocks"], when)
        self._has_prompts = True

    def event(self, event: Mapping[str, Any]) -> None:
        """Add what an event says."""
        match event["type"]:
            case "start":
                self._start = event
            case "thinking":
                step = self._turn(event)
                name = "reasoning_content" if event["kind"] == "reasoning" else "message"
                step[name] = "\n\n".join(filter(None, (step.get(name), event["content"])))
            case "usage":
                self._turn(event)["metrics"] = _metrics(event)
            case "tool_call":
                given = event["input"]
                arguments = given if isinstance(given, dict) else {"arguments": given}
                call = {"tool_call_id": event["id"], "function_name": event["tool"], "arguments": arguments}
                self._turn(event).setdefault("tool_calls", []).append(call)
            case "tool_result":
                extra = {"outcome": event["outcome"], "duration_ms": event["durationMs"]}
                result = {"source_call_id": event["id"], "content": event["output"], "extra": extra}
                self._turn(event).setdefault("observation", {"results": []})["results"].append(result)
            case "notice" if event["code"] in ("context_compacted", "fallback_model"):
                self._add("system", event["message"], event["ts"])
            case "complete":
                self._complete = event
                if self._turns and event.get("output") and event.get("status") == "completed":
                    self._turns[max(self._turns)]["message"] = event["output"]

    def finish(self) -> Json:
        """Return the trajectory. Raises ValueError."""
        if not self.steps:
            raise ValueError("the run ended before its first model call: there is no trajectory")
        start, complete = self._start, self._complete
        agent = {
            "name": self.imported.get("source", NAME),
            "version": self.imported.get("version") or start.get("runtimeVersion") or VERSION,
            "model_name": start.get("model"),
            "tool_definitions": self._tools or None,
            "extra": {"agent": start.get("agent"), "provider": start.get("provider")},
        }
        found = {
            "schema_version": SCHEMA,
            "session_id": start.get("threadId") or start.get("runId"),
            "trajectory_id": start.get("runId"),
            "agent": {name: value for name, value in agent.items() if value is not None},
            "steps": [{"step_id": number, **step} for number, step in enumerate(self.steps, 1)],
            "final_metrics": _final_metrics(complete, len(self.steps)),
            "extra": {name: complete[name] for name in ("status", "stopReason", "files") if name in complete},
        }
        if not self._has_prompts:
            found["notes"] = (
                "made of events alone, which have neither the system prompt nor the user's messages"
            )
        return {name: value for name, value in found.items() if value}

    def _user(self, blocks: Iterable[Json], when: str | None) -> None:
        texts = [_text(block) for block in blocks if block["type"] in ("text", "image", "document")]
        results = [block for block in blocks if block["type"] == "tool_result"]
        if results and not self._has_prompts and self.steps and "tool_calls" in self.steps[-1]:
            self.steps[-1]["observation"] = {
                "results": [
                    {"source_call_id": block["id"], "content": "\n".join(map(_text, block["content"]))}
                    for block in results
                ]
            }
        if texts:
            self._add("user", "\n".join(texts), when)

    def _earlier(self, blocks: Iterable[Json], when: str | None) -> None:
        step = self._add("agent", "".join(map(_text, blocks)), when)
        step["is_copied_context"] = True
        calls = [
            {
                "tool_call_id": block["id"],
                "function_name": block["name"],
                "arguments": block.get("input") or {},
            }
            for block in blocks
            if block["type"] == "tool_call"
        ]
        if calls:
            step["tool_calls"] = calls

    def _turn(self, event: Mapping[str, Any]) -> Json:
        number = event["turn"]
        if number not in self._turns:
            self._turns[number] = self._add("agent", "", event["ts"])
            self._turns[number]["llm_call_count"] = 1
        return self._turns[number]

    def _add(self, source: str, message: str, when: str | None) -> Json:
        step: Json = {"timestamp": when} if when else {}
        step |= {"source": source, "message": message}
        self.steps.append(step)
        return step

    def _time(self, record: PromptRecord) -> str | None:
        if self.began is None:
            return None
        return (self.began + timedelta(milliseconds=record.at)).isoformat(timespec="milliseconds")


def _text(block: Json) -> str:
    if block["type"] in ("text", "document"):
        return str(block["text"])
    return f"[image {block['mediaType']}]" if block["type"] == "image" else ""


def _metrics(usage: Mapping[str, Any]) -> Json:
    found = {
        "prompt_tokens": usage["inputTokens"],
        "completion_tokens": usage["outputTokens"],
        "cached_tokens": usage["cachedInputTokens"],
        "cost_usd": usage.get("costUsd"),
        "extra": {
            "cache_write_tokens": usage["cacheWriteTokens"],
            "reasoning_tokens": usage["reasoningTokens"],
        },
    }
    return {name: value for name, value in found.items() if value is not None}


def _final_metrics(complete: Mapping[str, Any], steps: int) -> Json:
    usage = complete.get("usage") or {}
    found = {
        "total_prompt_tokens": usage.get("inputTokens"),
        "total_completion_tokens": usage.get("outputTokens"),
        "total_cached_tokens": usage.get("cachedInputTokens"),
        "total_cost_usd": usage.get("costUsd"),
        "total_steps": steps,
    }
    return {name: value for name, value in found.items() if value is not None}
