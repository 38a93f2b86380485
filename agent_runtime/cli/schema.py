"""`agent-runtime schema`: JSON Schema (draft 2020-12), generated from the models of the code."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from agent_runtime.errors import ExitCode
from agent_runtime.protocol import events, request
from agent_runtime.transcripts import records

NAMES = ("request", "event", "result", "transcript")
_ENVELOPE = ("seq", "ts", "runId")


def schema(name: str) -> dict[str, Any]:
    """Return the schema of `request`, `event` (any line of stdout), `result` (the `complete` event) or `transcript`."""
    if name == "request":
        body = TypeAdapter(request.Request).json_schema(by_alias=True)
        # one of these is required; the names of the older body are accepted too
        body["anyOf"] = [{"required": [key]} for key in ("prompt", "message", "messages")]
        body["properties"]["message"] = body["properties"]["prompt"]
        body["properties"]["agentSlug"] = body["properties"]["agent"]
    elif name == "transcript":
        body = TypeAdapter(records.Record).json_schema(by_alias=True, mode="serialization")
    else:
        kind: Any = events.AnyEvent if name == "event" else events.CompleteEvent
        body = TypeAdapter(kind).json_schema(by_alias=True, mode="serialization")
        for event in [body, *body.get("$defs", {}).values()]:
            if "seq" in event.get("properties", {}):
                required = [field for field in event.get("required", ()) if field not in _ENVELOPE]
                event["required"] = ["type", *_ENVELOPE, *(field for field in required if field != "type")]
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": f"agent-runtime {name}", **body}


def schema_command(arguments: argparse.Namespace) -> int:
    """Print one schema, or all of them as one object by name."""
    value = schema(arguments.name) if arguments.name else {each: schema(each) for each in NAMES}
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return ExitCode.COMPLETED
