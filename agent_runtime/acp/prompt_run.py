"""One prompt of a session: a run in a child process, whose events become updates of the session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from acp.exceptions import RequestError

from agent_runtime import api
from agent_runtime.acp.questions import Ask, ask
from agent_runtime.acp.updates import RunUpdates, chunk
from agent_runtime.protocol.events import CompleteEvent
from agent_runtime.protocol.user_events import QuestionEvent

Json = dict[str, Any]

_STOP_REASONS = {
    "end_turn": "end_turn",
    "max_turns": "max_turn_requests",
    "max_tokens": "max_tokens",
    "max_total_tokens": "max_tokens",
    "max_cost": "max_tokens",
    "refusal": "refusal",
    "cancelled": "cancelled",
    "question": "end_turn",
}
_AUTHENTICATION = -32000  # the codes of JSON-RPC and of ACP
_INVALID, _FAILED = -32602, -32603


class PromptRun:
    """Runs one prompt.

    Args:
        session: the id of the session.
        updates: turns events into updates.
        notify: sends an update of the session to the client.
        send: sends a request to the client.
        forms: the client can show forms.
        socket: of a standby server that executes the run, while there is one.
    """

    def __init__(
        self,
        session: str,
        updates: RunUpdates,
        notify: Callable[[Json], Awaitable[None]],
        send: Ask,
        *,
        forms: bool,
        socket: Path | None = None,
    ) -> None:
        self._session, self._updates = session, updates
        self._notify, self._send, self._forms, self._socket = notify, send, forms, socket
        self._run: api.Run | None = None
        self._cancelled = False
        self._left_open = False  # a question that the next prompt answers
        self._questions: set[asyncio.Task[None]] = set()

    async def cancel(self) -> None:
        """Cancel the run, also one that has not started yet."""
        self._cancelled = True
        if self._run is not None:
            await self._run.cancel()

    async def run(self, request: Mapping[str, Any], cwd: str) -> Json:
        """Run a request to its end; returns the result of `session/prompt`. Raises acp's RequestError."""
        try:
            standby = self._socket if self._socket and self._socket.is_socket() else None
            async with api.run(request, workspace=cwd, socket=standby) as run:
                self._run = run
                if self._cancelled:
                    await run.cancel()
                async for event in run:
                    for update in self._updates.of(event):
                        await self._notify(update)
                    if isinstance(event, QuestionEvent):
                        self._ask(event)
                assert run.complete
                return self._result(run.complete)
        except api.RuntimeExited as error:
            raise RequestError(_FAILED, str(error)) from error
        finally:
            for task in self._questions:
                task.cancel()

    def _ask(self, question: QuestionEvent) -> None:
        # the events of the run go on meanwhile: it may be cancelled
        task = asyncio.create_task(self._answer(question))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, question: QuestionEvent) -> None:
        assert self._run
        answer = await ask(self._send, self._session, question, forms=self._forms)
        if answer is not None:
            await self._run.answer(question.id, answer)
            return
        self._left_open = True
        options = "".join(f"\n- {option}" for option in question.options or ())
        await self._notify(chunk("agent_message_chunk", f"\n\n{question.text}{options}"))
        await self._run.cancel()

    def _result(self, complete: CompleteEvent) -> Json:
        if self._left_open and not self._cancelled and complete.stop_reason == "cancelled":
            return {"stopReason": "end_turn"}
        reason = _STOP_REASONS.get(complete.stop_reason)
        if reason is None:
            raise _failure(complete)
        usage = complete.usage
        tokens = {
            "totalTokens": usage.total_tokens,
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "thoughtTokens": usage.reasoning_tokens,
            "cachedReadTokens": usage.cached_input_tokens,
            "cachedWriteTokens": usage.cache_write_tokens,
        }
        return {"stopReason": reason, "usage": tokens}


def _failure(complete: CompleteEvent) -> RequestError:
    error = complete.error
    message = error.message if error else f"the run has ended: {complete.stop_reason}"
    code = error.code if error else ""
    number = {"authentication_error": _AUTHENTICATION, "invalid_request": _INVALID}.get(code, _FAILED)
    data = {
        "code": code,
        "stopReason": complete.stop_reason,
        "runId": complete.run_id if hasattr(complete, "run_id") else None,
    }
    return RequestError(number, message, {name: value for name, value in data.items() if value})
