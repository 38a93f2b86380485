"""What the models of the program do with values, as texts. Executed as a program it does so with light models."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.models import are_light, use_light_models

# a valid value of every required field, by model
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "protocol.messages": {
        "Text": {"text": "a"},
        "Image": {"mediaType": "image/png", "data": "AA=="},
        "ToolCall": {"id": "1", "name": "bash", "arguments": "{}"},
        "ToolResult": {"id": "1", "name": "bash", "content": [{"type": "text", "text": "a"}]},
        "Native": {"format": "anthropic", "model": "m", "items": [{"type": "text", "n": [1.5, None]}]},
        "UserMessage": {"blocks": [{"type": "text", "text": "a"}]},
        "AssistantMessage": {"blocks": [{"type": "tool_call", "id": "1", "name": "b", "arguments": ""}]},
        "Usage": {},
    },
    "protocol.request": {
        "CustomModel": {"provider": "custom", "name": "m"},
        "Config": {},
        "Mount": {"workspaceId": "w", "path": "/data"},
        "Request": {"prompt": "go"},
    },
    "protocol.mcp_server": {"McpServer": {"command": "server"}},
    "protocol.events": {
        "StartEvent": {
            "runtimeVersion": "1",
            "agent": "a",
            "model": "m",
            "provider": "p",
            "workspace": "/w",
            "tools": ["bash"],
            "limits": {"maxTurns": 3},
        },
        "ToolCallEvent": {"id": "1", "tool": "bash", "input": {"command": "true"}, "turn": 1},
        "ToolResultEvent": {
            "id": "1",
            "tool": "bash",
            "output": "",
            "isError": False,
            "outcome": "completed",
            "durationMs": 1,
            "turn": 1,
        },
        "NoticeEvent": {"code": "limit_near", "message": "m"},
        "ErrorEvent": {"code": "provider_error", "message": "m", "retryable": True},
        "PlanEvent": {"items": [{"step": "s", "status": "pending"}], "turn": 1},
        "CompleteEvent": {"status": "completed", "stopReason": "end_turn", "output": "", "result": ""},
    },
    "transcripts.records": {
        "Header": {"runtimeVersion": "1", "runId": "r", "createdAt": "now", "workspace": "/"},
        "ToolResultRecord": {"at": 1, "id": "1", "tool": "t", "durationMs": 2, "content": []},
        "EventRecord": {"at": 1, "event": {"type": "notice", "seq": 1, "code": "frozen", "message": "m"}},
        "ModelResponseRecord": {
            "at": 1,
            "call": 1,
            "format": "openai-chat",
            "durationMs": 1,
            "chunks": [{"a": {"b": [1, "c"]}}],
            "offsets": [1],
        },
    },
    "tools.bash": {"BashParams": {"command": "true"}},
    "tools.edit_file": {"EditParams": {"path": "a", "old_string": "b", "new_string": "c"}},
    "tools.grep": {"GrepParams": {"pattern": "a"}},
    "tools.update_plan": {"PlanParams": {"plan": [{"step": "s", "status": "pending"}]}},
}


def _nested(levels: int) -> Any:
    value: Any = "a"
    for _ in range(levels):
        value = [value]
    return value


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 + 1, 10**30, 0.0, 1.0, 1.5, -0.5, 1e300, float("nan"), float("inf")),
    *("", " ", "a", "5", "true", "a b", "a\n", "\0", "é", "\ud800", "x" * 300, "http://h", "https://h\n"),
    *(
        "anthropic",
        "completed",
        "pending",
        "low",
        ".",
        "..",
        "a.b",
        "00-" + "0" * 32 + "-" + "0" * 16 + "-00",
    ),
    *([], [None], ["a"], ["a", 1], [1], [True], [[]], ("a",), (1, 2), {"a"}, b"a"),
    *(
        {},
        {"a": 1},
        {"a": "b"},
        {"a": None},
        {1: "a"},
        {"A=B": "c"},
        {"a": {"b": [1.5, (2, "c")]}},
        {"name": "m"},
    ),
    [{"type": "text", "text": "a"}],
    [{"type": "image", "mediaType": "m", "data": ""}],
    [{"type": "other"}],
    [{"text": "a"}],
    {"maxTurns": 3, "timeout": 5},
    {"maxTurns": "3"},
    {"provider": "custom", "name": "m", "endpoint": "http://h"},
    ["openai:a", {"provider": "custom", "name": 1}],
    {"server": {"command": "c", "timeout": 1}},
    {"server": {"command": "c", "url": "u"}},
    *({"a": _nested(levels)} for levels in (150, 199, 240, 260, 400)),
]


def outcomes() -> Iterator[tuple[str, str]]:
    """Each case, and what the model does with it."""
    for module, models in MODELS.items():
        for name, valid in models.items():
            model = getattr(import_module(f"agent_runtime.{module}"), name)
            assert hasattr(model, "_accept") is are_light()
            yield f"{name} as it is", _outcome(model, valid)
            names = [
                *(field.alias or key for key, field in model.model_fields.items()),
                *model.model_fields,
                "unknown",
                "file_path",
            ]
            for key in names:
                yield f"{name} without {key}", _outcome(model, {k: v for k, v in valid.items() if k != key})
                for value in VALUES:
                    yield f"{name} {key}={value!r:.80}", _outcome(model, {**valid, key: value})


def _outcome(model: Any, given: dict[str, Any]) -> str:
    return f"{_result(model.model_validate, given)} | {_result(lambda given: model(**given), given)}"


def _result(make: Any, given: dict[str, Any]) -> str:
    try:
        made = make(given)
    except RequestError as error:
        return f"RequestError {error}"
    except ValueError as error:
        errors = error.errors(include_url=False)  # type: ignore[attr-defined]
        return repr([(each["type"], each["loc"], each["msg"], repr(each["input"])) for each in errors])
    return _described(made)


def _described(made: Any) -> str:
    found = [repr(made), sorted(made.model_fields_set)]
    for options in (
        {},
        {"mode": "json", "by_alias": True},
        {"by_alias": True, "exclude_none": True},
        {"mode": "json", "exclude_defaults": True},
        {"exclude": {"text", "at", "id"}},
        {"include": {"text", "at", "id"}},
    ):
        try:
            found.append(repr(made.model_dump(**options)))
        except ValueError as error:
            found.append(type(error).__name__)
    copy = made.model_copy(update={next(iter(type(made).model_fields)): "changed"})
    return "; ".join(map(str, [*found, repr(copy), made == made.model_copy(), made == copy]))


if __name__ == "__main__":
    use_light_models()
    json.dump(list(outcomes()), sys.stdout)
