"""Structured answers: checks the model's final answer against the schema of the request.

An answer that does not satisfy it goes back to the model with the errors.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.tool import ToolContext
from agent_runtime.conversation.answer_schema import TOOL, WRAPPER, AnswerValidator, Pruner, answer_format
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import clean_text, too_deep
from agent_runtime.protocol.tool_output import ToolOutput

MAX_RETURNED = 2  # answers that are sent back to the model
_MAX_ERRORS = 8  # errors that are reported to the model
_MAX_ERROR = 500  # characters of each

_FENCED = lazy_pattern(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)


@dataclass(frozen=True)
class Accepted:
    """An answer that satisfies the schema, and its text: what the model wrote, or the value as JSON."""

    value: Any
    text: str


class AnswerCheck:
    """The final answer of one run.

    Args:
        schema: the schema of the request. Raises RequestError when it is not one.

    Attributes:
        accepted: the last answer that satisfied the schema; None before there was one.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.format = answer_format(schema)
        self._schema = schema
        self._validator = AnswerValidator(schema)
        self._refused, self._problem = 0, ""
        self.accepted: Accepted | None = None
        self._new: str | None = None  # the text of an accepted answer that was not taken yet

    @property
    def failure(self) -> str | None:
        """What is wrong with the last answer, when no other one is asked for; else None."""
        if self._refused <= MAX_RETURNED:
            return None
        return (
            f"{self._refused} answers of the model do not satisfy outputSchema; the last one: {self._problem}"
        )

    def offer(self, text: str) -> str | None:
        """Take an answer as text. Returns None when it is accepted, else what is wrong with it, for the model."""
        fenced = _FENCED.fullmatch(text)
        source = fenced[1] if fenced else text
        try:
            value = json.loads(source, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            return self._refuse(f"it is not JSON: {error}")
        return self.offer_value(value, source.strip())

    def offer_value(self, value: Any, text: str | None = None) -> str | None:
        """Take an answer as a JSON value, with its text. See `offer`."""
        if too_deep(value):
            return self._refuse("it is nested too deeply")
        inner = value
        if self.format.wrapped and isinstance(value, dict) and value.keys() == {WRAPPER}:
            inner = value[WRAPPER]
        pruner = Pruner(self._validator)
        found = pruner.pruned(inner)
        errors = self._errors(found)
        if errors and inner is not value and not self._errors(whole := pruner.pruned(value)):
            found, errors = whole, []
        if errors:
            return self._refuse("\n".join(errors))
        if found != value or text is None:
            text = json.dumps(found, ensure_ascii=False)
        self.accepted = Accepted(found, clean_text(text))
        self._new = self.accepted.text
        return None

    def take(self) -> str | None:
        """Return the text of the answer that was accepted since the last call; None when there is none."""
        text, self._new = self._new, None
        return text

    def _errors(self, value: Any) -> list[str]:
        found = self._validator.errors(value)
        lines = [f"- {error}"[:_MAX_ERROR] for error in found[:_MAX_ERRORS]]
        return lines + ([f"- and {len(found) - _MAX_ERRORS} more"] if len(found) > _MAX_ERRORS else [])

    def _refuse(self, reason: str) -> str:
        self._refused, self._problem = self._refused + 1, reason
        schema = json.dumps(self._schema, ensure_ascii=False)
        return (
            f"Your answer does not satisfy the required JSON Schema:\n{reason}\n"
            f"Answer again, with the corrected JSON only. The schema: {schema}"
        )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is larger than a double-precision number can be")
    return number


@dataclass(frozen=True)
class FinalAnswerTool:
    """The tool that takes the final answer where the provider of the model has no structured output."""

    check: AnswerCheck
    name: str = TOOL
    scans: bool = False
    parallel: bool = False

    def spec(self) -> ToolSpec:
        """See agent.tool.Tool."""
        return self.check.format.tool

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Take the answer. One that does not satisfy the schema is a failed call that says what is wrong."""
        wrong = self.check.offer_value(dict(input))
        if wrong is not None:
            return ToolOutput.of(wrong, is_error=True, outcome="failed")
        return ToolOutput.of("The answer is accepted.")
