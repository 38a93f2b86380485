"""Questions of the model to the user, asked in the client."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_runtime.testing.model_server import Call, Turn
from tests.acp.editor import Editor, drive

QUESTION = Turn(calls=[Call("ask_user", {"question": "Which?", "options": ["red", "blue"]}, id="call_q")])
OPEN = Turn(calls=[Call("ask_user", {"question": "Which?"}, id="call_q")])


@pytest.mark.parametrize(
    ("turn", "forms", "choice", "sent"),
    [(QUESTION, False, 1, "blue"), (OPEN, True, 0, "blue")],
    ids=["options", "form"],
)
def test_a_question_is_asked_in_the_client(
    tmp_path: Path, turn: Turn, forms: bool, choice: int, sent: str
) -> None:
    async def scenario(client: Editor) -> None:
        client.choose = lambda options: choice
        await client.initialize(forms=forms)
        result = await client.prompt(await client.new(tmp_path), "Paint.")
        assert result.stop_reason == "end_turn"
        assert len(client.permissions + client.forms) == 1

    server = drive([turn, Turn(text="ok")], tmp_path / "state", scenario)
    assert sent in str(server.bodies[1]["messages"][-1])


@pytest.mark.parametrize("turn", [QUESTION, OPEN], ids=["dismissed", "without a form"])
def test_a_question_that_cannot_be_answered_now_is_answered_by_the_next_prompt(
    tmp_path: Path, turn: Turn
) -> None:
    async def scenario(client: Editor) -> None:
        client.choose = lambda options: None
        await client.initialize()
        session = await client.new(tmp_path)
        assert (await client.prompt(session, "Paint.")).stop_reason == "end_turn"
        assert "Which?" in client.text()
        assert (await client.prompt(session, "green")).stop_reason == "end_turn"

    server = drive([turn, Turn(text="ok")], tmp_path / "state", scenario)
    assert "green" in str(server.bodies[1]["messages"][-1])


def test_without_questions_the_model_has_no_tool_to_ask(tmp_path: Path) -> None:
    async def scenario(client: Editor) -> None:
        await client.initialize()
        await client.prompt(await client.new(tmp_path), "Go.")

    server = drive([Turn(text="ok")], tmp_path / "state", scenario, "--no-questions")
    assert "ask_user" not in str(server.bodies[0]["tools"])
