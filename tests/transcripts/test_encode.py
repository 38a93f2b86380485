from __future__ import annotations

import json

import pytest

from agent_runtime.protocol.messages import Frozen, Image, Text
from agent_runtime.transcripts.encode import encode
from agent_runtime.transcripts.records import (
    ControlRecord,
    Failure,
    Header,
    McpServerRecord,
    ModelCallRecord,
    ModelResponseRecord,
    PromptRecord,
    RequestRecord,
    ToolResultRecord,
)

FAILURE = Failure(
    code="overloaded", message="busy \u2028", retryable=True, retry_after=1.5, details={"a": [1]}
)


@pytest.mark.parametrize(
    "record",
    [
        Header(runtime_version="1", run_id="r", created_at="now", workspace="/é"),
        RequestRecord(request={"prompt": "a", "env": {"A_b": None}}),
        McpServerRecord(at=1, server="s", tools=({"name": "t", "inputSchema": {}},)),
        PromptRecord(at=1, call=0),
        PromptRecord(at=1, call=0, system="", tools=(), messages=({"role": "user"},), replaced=True),
        ModelCallRecord(
            at=1,
            call=1,
            attempt=1,
            provider="p",
            format="anthropic",
            model="m",
            digest="d",
            body_bytes=2,
            messages=1,
        ),
        *(
            ModelResponseRecord(
                at=1,
                call=1,
                format="openai-chat",
                duration_ms=1,
                chunks=({"type": "a", "x": [1.5, "\ud83d", None, {"some_key": "\x00"}]},),
                offsets=(1,),
                error=error,
            )
            for error in (None, FAILURE)
        ),
        ToolResultRecord(
            at=1,
            id="i",
            tool="bash",
            duration_ms=0,
            content=(Text(text="\ud83d\ude00 text"), Image(media_type="image/png", data="AAAA")),
            output_bytes=0,
        ),
        ControlRecord(at=1, action="cancel", calls=0, results=0, reason="SIGINT"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_is_encoded_as_it_is_dumped(record: Frozen) -> None:
    text = encode(type(record), vars(record))
    assert text == json.dumps(record.model_dump(by_alias=True), separators=(",", ":"))
    given = {name: value for name, value in vars(record).items() if name in record.model_fields_set}
    if not isinstance(
        record, RequestRecord | McpServerRecord
    ):  # some of their defaults are created for each record
        assert encode(type(record), given) == text
