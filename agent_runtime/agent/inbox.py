"""User input and control messages during a run: user messages, answers to questions, whether the run is paused."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from agent_runtime.agent.step_gate import StepGate
from agent_runtime.errors import RequestError
from agent_runtime.protocol.control import ControlMessage, parse_control


class Inbox:
    """The user messages that wait for the model, the open questions, and the pause state of the run.

    To be created inside the event loop.

    Args:
        cancel: called with a reason when the caller cancels the run.
        gate: holds the steps back while the run is frozen.
    """

    def __init__(self, cancel: Callable[[str], None], gate: StepGate) -> None:
        self._gate = gate
        self._texts: list[str] = []
        self._open, self._open_for_tools = anyio.Event(), anyio.Event()
        self._open.set()
        self._open_for_tools.set()
        self._cancel = cancel
        self._questions: dict[str, anyio.Event] = {}  # the open ones, in order
        self._answers: dict[str, str] = {}
        self._closed = False

    @property
    def pending(self) -> bool:
        """Whether a message waits to be sent to the model."""
        return bool(self._texts)

    @property
    def paused(self) -> bool:
        """Whether the run stops before its next step."""
        return not self._open.is_set()

    async def ready(self) -> None:
        """Wait until the run is neither paused nor frozen."""
        while self.paused or self._gate.is_closed:
            with self._gate.idle():
                await self._open.wait()
                await self._gate.ready()

    async def ready_for_tools(self) -> None:
        """Wait until the run is neither paused, before tools either, nor frozen."""
        await self.ready()
        while not self._open_for_tools.is_set():
            with self._gate.idle():
                await self._open_for_tools.wait()
            await self.ready()

    def take(self) -> list[str]:
        """Remove and return the pending messages, oldest first."""
        texts, self._texts = self._texts, []
        return texts

    def handle(self, line: bytes) -> ControlMessage:
        """Apply a control line. Raises RequestError when it is invalid; nothing has changed then.

        `freeze` and `thaw` are left to the caller (engine.freeze).
        """
        control = parse_control(line)
        match control.action:
            case "pause" if control.before == "tool":
                if self._open_for_tools.is_set():
                    self._open_for_tools = anyio.Event()
            case "pause":
                if not self.paused:
                    self._open = anyio.Event()
            case "resume":
                self._open.set()
                self._open_for_tools.set()
            case "cancel":
                self._cancel("cancelled")
            case "input":
                self.deliver(control.text or "")
            case "answer":
                self._answer(control.id or "", control.text or "")
        return control

    @property
    def asked(self) -> str | None:
        """The id of the oldest open question."""
        return next(iter(self._questions), None)

    async def answer_to(self, id: str) -> str | None:
        """Open a question, and wait for its answer. None when nobody can send control messages any more."""
        if self._closed:
            return None
        self._questions[id] = anyio.Event()
        try:
            with self._gate.idle():
                await self._questions[id].wait()
        finally:
            del self._questions[id]
        return self._answers.pop(id, None)

    def close(self) -> None:
        """There will be no further control messages: open questions remain unanswered."""
        self._closed = True
        for question in self._questions.values():
            question.set()

    def _answer(self, id: str, text: str) -> None:
        question = self._questions.get(id)
        if question is None or id in self._answers:
            known = ", ".join(self._questions) or "none is open"
            raise RequestError("id", f"expected the id of an open question ({known}), got {id[:80]!r}")
        self._answers[id] = text
        question.set()

    def deliver(self, text: str) -> None:
        """Add a user message for the next model call."""
        self._texts.append(text)
