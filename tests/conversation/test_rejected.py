"""A refused history loses what the provider names, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.conversation.rejected import Rejection, drop_rejected
from agent_runtime.protocol.messages import AssistantMessage, Message
from tests.conversation.messages import call, model, native, pdf, picture, result, user

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}


def turn(number: int) -> AssistantMessage:
    use = {"type": "tool_use", "id": f"c{number}", "name": "bash", "input": {}}
    return model(call(f"c{number}"), native=native(THOUGHT, use))


def items(number: int) -> AssistantMessage:
    reasoning = {"type": "reasoning", "id": f"rs_{number}", "encrypted_content": "x", "summary": []}
    made = {"type": "function_call", "call_id": f"c{number}", "name": "bash", "arguments": "{}"}
    return model(call(f"c{number}"), native=native(reasoning, made, format="openai-responses"))


def chat(number: int) -> AssistantMessage:
    made = {"id": f"c{number}", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    return model(
        call(f"c{number}"), native=native({"role": "assistant", "tool_calls": [made]}, format="openai-chat")
    )


def history(make: Any) -> list[Message]:
    return [
        user("go", picture()),
        make(1),
        user(result("c1"), picture()),
        make(2),
        user(result("c2")),
    ]


def dropped(make: Any, message: str, param: str = "") -> tuple[list[int], list[int]] | None:
    """The positions of the turns that lost their native form, and of the messages that lost their image."""
    before = history(make)
    found = drop_rejected(before, Rejection(message, param))
    if found is None:
        return None
    after = found.messages
    turns = [i for i, m in enumerate(after) if isinstance(m, AssistantMessage) and m.native is None]
    images = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if i % 2 == 0 and old != new]
    return turns, images


@pytest.mark.parametrize(
    ("make", "message", "param", "turns", "images"),
    [
        (turn, "messages.1.content.0: Invalid `signature` in `thinking` block", "", [1], []),
        (turn, "messages.3.content.0: Invalid `signature` in `thinking` block", "", [3], []),
        (turn, "Invalid `signature` in `thinking` block", "", [1, 3], []),
        (
            turn,
            "messages.3: `thinking` blocks in the latest assistant message cannot be modified",
            "",
            [3],
            [],
        ),
        (turn, "messages.0.content.1.image.source.base64.data: Could not process image", "", [], [0]),
        (turn, "messages.2.content.1.image.source.base64: image exceeds 5 MB maximum", "", [], [2]),
        (turn, "Could not process image", "", [], [0, 2]),
        (
            items,
            "Item with id 'rs_2' not found. Items are not persisted when `store` is false.",
            "input",
            [3],
            [],
        ),
        (items, "The encrypted content gAAA could not be verified.", "", [1, 3], []),
        (items, "Invalid 'input[5].encrypted_content'", "input[5].encrypted_content", [3], []),
        (
            items,
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
            "",
            [1],
            [],
        ),
        (items, "Invalid image data", "input[0].content[1].image_url", [], [0]),
        (
            chat,
            "thinking is enabled but reasoning is odd in assistant tool call message at index 5",
            "",
            [3],
            [],
        ),
        (chat, "Invalid value for messages[2].tool_calls[0].extra", "", [1], []),
    ],
)
def test_items_named_by_a_rejection_are_dropped(
    make: Any, message: str, param: str, turns: list[int], images: list[int]
) -> None:
    assert dropped(make, message, param) == (turns, images)


@pytest.mark.parametrize(
    "message",
    [
        "output_config.effort: 'max' is not supported when thinking is disabled",
        "thinking.budget_tokens: must be less than max_tokens",
        "GenerateContentRequest.tools[0].function_declarations[1].parameters.properties[x].items: missing field",
        "Invalid schema for function 'view_image': schema must have type object",
        "tools.0.custom.input_schema: the image property is invalid",
        "max_tokens: must be positive",
        "temperature may only be set to 1 when thinking is enabled",
        "This item is out of stock",
        "reasoning.effort: unsupported value",
        "",
    ],
)
@pytest.mark.parametrize("make", [turn, items, chat])
def test_an_unrelated_rejection_drops_nothing(make: Any, message: str) -> None:
    assert dropped(make, message) is None


def test_when_one_item_is_not_enough_all_native_items_are_dropped() -> None:
    blame = Rejection("messages.1.content.0: Invalid `signature` in `thinking` block")
    found = drop_rejected(history(turn), blame, everywhere=True)
    assert found is not None
    assert all(m.native is None for m in found.messages if isinstance(m, AssistantMessage))


def test_the_same_rejection_drops_nothing_a_second_time() -> None:
    blame = Rejection("Invalid `signature` in `thinking` block")
    first = drop_rejected(history(turn), blame)
    assert first is not None
    assert drop_rejected(first.messages, blame) is None


@pytest.mark.parametrize(("index", "turn"), [(4, 3), (5, 3), (7, 5)])
def test_turns_without_native_items_are_counted_by_their_blocks(index: int, turn: int) -> None:
    before: list[Message] = [user("go"), model("hm", call("c1")), user(result("c1"))]
    before += [items(2), user(result("c2")), items(3), user(result("c3"))]
    param = f"input[{index}].encrypted_content"
    found = drop_rejected(before, Rejection("Invalid encrypted content", param))
    assert found is not None
    changed = [i for i, (old, new) in enumerate(zip(before, found.messages, strict=True)) if old != new]
    assert changed == [turn]


@pytest.mark.parametrize(
    "message",
    [
        "messages.0.content.1.pdf.source.base64.data: The PDF specified was not valid.",
        "The PDF specified is password protected.",
        "A maximum of 100 PDF pages may be provided.",
        "Invalid file data: 'input[0].content[1].file_data'. Expected a base64-encoded data URL",
        "messages[1].content[1]: The file type you uploaded is not supported. Please try again with a pdf",
        "messages.0.content.1.document.source.base64.media_type: Input should be 'application/pdf'",
    ],
)
def test_a_refused_document_becomes_its_text_and_other_items_stay(message: str) -> None:
    before: list[Message] = [user("go", pdf(), picture()), turn(1), user(result("c1"), picture())]
    found = drop_rejected(before, Rejection(message))
    assert found is not None
    assert found.messages == (user("go", "the text", picture()), *before[1:])
    assert drop_rejected(found.messages, Rejection("A maximum of 100 PDF pages may be provided.")) is None
