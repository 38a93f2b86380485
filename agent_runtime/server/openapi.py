"""The OpenAPI 3.1 description of the API, from the models that the code uses."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from agent_runtime.protocol.events import CompleteEvent
from agent_runtime.protocol.request import Request
from agent_runtime.version import VERSION

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "the request is invalid; `field` names what",
    "401": "no valid key was given",
    "403": "the request comes from another site",
    "404": "there is no such thing",
    "409": "it is in use, or the run has ended",
    "410": "the events are no longer kept",
    "413": "the body is too large",
    "422": "the idempotency key was used with another body",
    "429": "too many requests; see Retry-After",
    "500": "a defect of the server",
    "503": "the server is being stopped, or what executes the run cannot be reached",
}


def description() -> dict[str, Any]:
    """The whole document."""
    _, models = models_json_schema(
        [(Request, "validation"), (CompleteEvent, "serialization")], ref_template=_REF
    )
    error = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "requestId"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "requestId": {"type": ["string", "null"]},
                    "field": {"type": "string"},
                },
            }
        },
    }
    envelope = {
        "type": "object",
        "required": ["data", "meta"],
        "properties": {
            "data": {},
            "meta": {
                "type": "object",
                "required": ["requestId"],
                "properties": {
                    "requestId": {"type": "string"},
                    "hasMore": {"type": "boolean"},
                    "nextCursor": {"type": ["string", "null"]},
                },
            },
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "agent-runtime", "version": VERSION},
        "paths": _paths(),
        "components": {
            "schemas": {**models.get("$defs", {}), "Error": error, "Envelope": envelope},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{}, {"bearer": []}, {"key": []}],
    }


def _paths() -> dict[str, Any]:
    paths = _run_paths() | _thread_paths() | _server_paths()
    for path, methods in paths.items():
        names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
        for method in methods.values():
            method["parameters"] = [*method.get("parameters", ()), *map(_path_parameter, names)]
    return paths


def _run_paths() -> dict[str, Any]:
    start = {"requestBody": _json_body("Request"), "responses": _responses(stream=True)}
    filters = [_query(name, "string") for name in ("agent", "status", "threadId")]
    paths: dict[str, Any] = {
        "/v1/run": {"post": {"summary": "Start a run", **start}},
        "/v1/run/{slug}": {"post": {"summary": "Start a run of an agent (oldest form)", **start}},
        "/v1/agents/{slug}/run": {"post": {"summary": "Start a run of an agent (older form)", **start}},
        "/v1/runs": {
            "get": {
                "summary": "List runs",
                "parameters": [*_LIST, *filters],
                "responses": _responses(),
            }
        },
        "/v1/runs/{id}": {"get": {"summary": "The status or the result of a run", "responses": _responses()}},
        "/v1/runs/{id}/events": {
            "get": {
                "summary": "The events of a run, from one on",
                "parameters": [_query("after", "integer")],
                "responses": _responses(stream=True),
            }
        },
        "/v1/runs/{id}/report": {"get": {"summary": "The report of a run", "responses": _report_responses()}},
        "/v1/runs/{id}/input": {
            "post": {
                "summary": "Send a message of the user to a run",
                "requestBody": _free_body({"text": {"type": "string"}}, required=["text"]),
                "responses": _responses(),
            }
        },
    }
    paths["/v1/runs/{id}/answer"] = {
        "post": {
            "summary": "Answer a question of a run",
            "requestBody": _free_body(
                {"id": {"type": "string"}, "text": {"type": "string"}}, required=["id", "text"]
            ),
            "responses": _responses(),
        }
    }
    for action, fields in (("pause", {"before": {"const": "tool"}}), ("thaw", _THAW)):
        paths[f"/v1/runs/{{id}}/{action}"] = {
            "post": {
                "summary": f"{action.capitalize()} a run",
                "requestBody": _free_body(fields),
                "responses": _responses(),
            }
        }
    for action in ("cancel", "resume", "freeze"):
        paths[f"/v1/runs/{{id}}/{action}"] = {
            "post": {"summary": f"{action.capitalize()} a run", "responses": _responses()}
        }
    return paths


def _thread_paths() -> dict[str, Any]:
    return {
        "/v1/run/threads": {
            "get": {
                "summary": "List threads",
                "parameters": [*_LIST, _query("agent", "string")],
                "responses": _responses(),
            }
        },
        "/v1/run/threads/{id}": {
            "get": {"summary": "A thread with its messages and runs", "responses": _responses()},
            "delete": {"summary": "Delete a thread", "responses": _responses()},
        },
        "/v1/run/threads/{id}/fork": {
            "post": {
                "summary": "Copy a thread",
                "requestBody": _free_body(
                    {"as": {"type": "string"}, "at": {"type": "integer", "minimum": 1}}
                ),
                "responses": _responses("201"),
            }
        },
    }


def _server_paths() -> dict[str, Any]:
    return {
        "/v1/models": {"get": {"summary": "List models", "responses": _responses()}},
        "/v1/agents": {"get": {"summary": "List agents", "responses": _responses()}},
        "/v1/sandboxes/{id}/url": {
            "get": {
                "summary": "The public address of a port",
                "parameters": [{**_query("port", "integer"), "required": True}],
                "responses": _responses(),
            }
        },
        "/healthz": {"get": {"summary": "Is the server up?", "responses": {"200": _content("it is up", {})}}},
        "/readyz": {
            "get": {
                "summary": "Can runs be started?",
                "responses": {"200": _content("yes", {}), "503": _content("no", {})},
            }
        },
    }


def _responses(success: str = "200", *, stream: bool = False) -> dict[str, Any]:
    found = {success: _content("success", {"$ref": "#/components/schemas/Envelope"})}
    if stream:
        found[success]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    error = {"$ref": "#/components/schemas/Error"}
    return found | {status: _content(text, error) for status, text in _ERRORS.items()}


def _report_responses() -> dict[str, Any]:
    found = _responses()
    found["200"]["content"]["text/html"] = {"schema": {"type": "string"}}
    return found


def _content(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _json_body(model: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _free_body(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required or []}
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def _query(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


_THAW = {
    "runId": {"type": "string", "pattern": "^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}$"},
    "sandboxId": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    "env": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": "string"},
    },
}
_LIST = [_query("limit", "integer"), _query("cursor", "string")]  # the parameters of every list
