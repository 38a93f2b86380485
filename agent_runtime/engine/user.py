"""The dialogue with the user of a run: the plan of the work, and questions that wait for an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from agent_runtime.agent.inbox import Inbox
from agent_runtime.engine.clock import RunClock
from agent_runtime.protocol import events
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.protocol.user_events import PlanItem
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import ControlRecord, ToolResultRecord

NOBODY = (
    "Nobody can answer this question now. Decide yourself: choose what the user most likely wants, go on, "
    "and name the assumption in your last message."
)
SUSPENDED = "The question was passed on to the user. The answer is the next message of this conversation."


class UserDialogue:
    """Reports plans and asks questions.

    Args:
        emit: emits an event.
        inbox: receives the answers.
        clock: stands still while a question is open.
        timeout: seconds to wait for an answer; None for no limit.
        durable: the run belongs to a thread, whose next run may bring the answer.
        recorded: in a replay, the recorded answers; see `recorded_answers`.

    """

    def __init__(
        self,
        emit: Callable[[events.Event], Awaitable[None]],
        inbox: Inbox,
        clock: RunClock,
        *,
        timeout: float | None,
        durable: bool,
        recorded: RecordedAnswers | None,
    ) -> None:
        self._emit, self._inbox, self._clock = emit, inbox, clock
        self._timeout, self._durable, self._recorded = timeout, durable, recorded
        self._suspended = False

    def take_suspended(self) -> bool:
        """See agent.loop_services.Questions."""
        suspended, self._suspended = self._suspended, False
        return suspended

    async def show_plan(self, items: Sequence[PlanItem], explanation: str | None, turn: int) -> None:
        """See agent.services.UserService."""
        await self._emit(events.PlanEvent(items=tuple(items), explanation=explanation, turn=turn))

    async def ask(self, call_id: str, text: str, options: Sequence[str], turn: int) -> ToolOutput:
        """See agent.services.UserService."""
        await self._emit(
            events.QuestionEvent(id=call_id, text=text, options=tuple(options) or None, turn=turn)
        )
        answer = self._recorded.answer_to(call_id) if self._recorded else await self._answer(call_id)
        if answer is not None:
            return ToolOutput.of(_chosen(answer, options))
        if self._recorded.was_suspended(call_id) if self._recorded else self._may_wait:
            self._suspended = True
            return ToolOutput.of(SUSPENDED)
        return ToolOutput.of(NOBODY, is_error=True, outcome="failed")

    @property
    def _may_wait(self) -> bool:
        return self._durable and self._timeout is not None

    async def _answer(self, id: str) -> str | None:
        with self._clock.hold(), anyio.move_on_after(self._timeout):
            return await self._inbox.answer_to(id)
        return None


def _chosen(answer: str, options: Sequence[str]) -> str:
    """The answer, or the option that it is the number of: on a terminal the options are numbered."""
    number = answer.strip()
    if number in options or not (number.isascii() and number.isdecimal() and 0 < int(number) <= len(options)):
        return answer
    return options[int(number) - 1]


class RecordedAnswers:
    """The answers of a recorded run.

    Args:
        transcript: the recording.
    """

    def __init__(self, transcript: Transcript) -> None:
        answers = (record for record in transcript.records if isinstance(record, ControlRecord))
        results = (record for record in transcript.records if isinstance(record, ToolResultRecord))
        self._texts: Mapping[str | None, str | None] = {
            record.id: record.text for record in answers if record.action == "answer"
        }
        self._suspended = {record.id for record in results if record.output().text == SUSPENDED}

    def answer_to(self, id: str) -> str | None:
        """Return the recorded answer to a question; None when there was none."""
        return self._texts.get(id)

    def was_suspended(self, id: str) -> bool:
        """Return whether a question was left to the next run of the thread."""
        return id in self._suspended
