"""The events with which a run addresses its user: the plan of the work, and questions."""

from __future__ import annotations

from typing import Literal

from agent_runtime.protocol.event_base import Event, Maybe
from agent_runtime.protocol.messages import Frozen

StepStatus = Literal["pending", "in_progress", "completed"]


class PlanItem(Frozen):
    """A step of a plan."""

    step: str
    status: StepStatus


class PlanEvent(Event):
    """The model has made or changed its plan. `items` are all steps, in order; `explanation` says what has changed."""

    type: Literal["plan"] = "plan"
    items: tuple[PlanItem, ...]
    explanation: Maybe[str] = None
    turn: int


class QuestionEvent(Event):
    """The model asks the user. The call waits for a control message `answer` with the same id.

    `options` are answers to choose from; another answer may be given too.
    """

    type: Literal["question"] = "question"
    id: str
    text: str
    options: Maybe[tuple[str, ...]] = None
    turn: int
