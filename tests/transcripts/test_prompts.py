from __future__ import annotations

import json
from typing import Any

import pytest

from agent_runtime.protocol.messages import (
    AssistantMessage,
    Document,
    Image,
    Message,
    Native,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agent_runtime.transcripts.prompts import readable

PICTURE = Image(media_type="image/png", data="A" * 40)
ITEMS = ({"type": "image", "data": "B" * 40},)


def without_data(value: Any) -> Any:
    """The JSON value with the size of data in its place."""
    if isinstance(value, list):
        return [without_data(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: without_data(item) for name, item in value.items()}
    if found.get("type") in ("image", "document") and isinstance(found.get("data"), str):
        found["data"] = "[30 bytes]"
    return found


@pytest.mark.parametrize(
    "message",
    [
        UserMessage.of("é \u2028"),
        UserMessage(blocks=(Text(text="a"), PICTURE)),
        UserMessage(
            blocks=(
                Document(
                    media_type="application/pdf", path="/a.pdf", data="A" * 40, pages=1, text="t", loss=""
                ),
            )
        ),
        UserMessage(
            blocks=(ToolResult(id="1", name="bash", content=(Text(text="a"), PICTURE), is_error=True),)
        ),
        AssistantMessage(blocks=(Thinking(text="b"), Text(text="c"))),
        AssistantMessage(
            blocks=(
                ToolCall(
                    id="1",
                    name="f",
                    arguments="{}",
                    input={
                        "image": {"type": "image", "data": "A" * 40},
                        "n": [1, 1.5, None, {"some_key": True}],
                    },
                ),
            ),
            native=Native(format="anthropic", model="m", items=ITEMS),
        ),
    ],
    ids=lambda message: "-".join(block.type for block in message.blocks),
)
def test_a_message_is_readable_as_it_is_dumped(message: Message) -> None:
    dumped = message.model_dump(mode="json", by_alias=True, exclude={"native"})
    assert json.dumps(readable(message)) == json.dumps(without_data(dumped))
    assert "AAAA" not in json.dumps(readable(message)) and "BBBB" not in json.dumps(readable(message))
