"""Questions of the model to the user: as a choice of permission options, as a form, or left to the next prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from acp.exceptions import RequestError

from agent_runtime.protocol.user_events import QuestionEvent

Json = dict[str, Any]
Ask = Callable[[str, Json], Awaitable[Any]]  # a request to the client: its method and parameters


async def ask(send: Ask, session: str, question: QuestionEvent, *, forms: bool) -> str | None:
    """Ask the user of a client; None when the client did not get an answer.

    A question with options becomes a request for permission, one without becomes a form.

    Args:
        send: sends a request to the client, and returns its result.
        session: the id of the session.
        question: the event.
        forms: the client can show forms.
    """
    try:
        if question.options:
            return await _choice(send, session, question, question.options)
        return await _form(send, session, question) if forms else None
    except (RequestError, ConnectionError):
        return None


async def _choice(send: Ask, session: str, question: QuestionEvent, options: tuple[str, ...]) -> str | None:
    offered = [
        {"optionId": str(number), "name": option, "kind": "allow_once"}
        for number, option in enumerate(options)
    ]
    call = {"toolCallId": question.id, "title": question.text, "kind": "other", "status": "pending"}
    answer = await send(
        "session/request_permission", {"sessionId": session, "toolCall": call, "options": offered}
    )
    outcome = answer.get("outcome") if isinstance(answer, dict) else None
    chosen = outcome.get("optionId") if isinstance(outcome, dict) else None
    return next((option for number, option in enumerate(options) if str(number) == chosen), None)


async def _form(send: Ask, session: str, question: QuestionEvent) -> str | None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "title": "Answer"}},
        "required": ["answer"],
    }
    form = {"sessionId": session, "mode": "form", "message": question.text, "requestedSchema": schema}
    answer = await send("elicitation/create", form)
    content = answer.get("content") if isinstance(answer, dict) and answer.get("action") == "accept" else None
    text = content.get("answer") if isinstance(content, dict) else None
    return text if isinstance(text, str) and text.strip() else None
