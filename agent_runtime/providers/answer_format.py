"""The format of the final answer in a request: the provider's structured output, or a tool that takes the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_runtime.agent.model import DroppedParameter, ModelCall, ToolSpec
from agent_runtime.conversation.answer_schema import FIELD
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.schema_dialects import Dialect, NotExpressible
from agent_runtime.providers.strict_schema import strict_schema

FORMAT_NAME = "answer"  # OpenAI's formats have a name


def answer_format(
    call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter], dialect: Dialect
) -> tuple[dict[str, Any] | None, Sequence[ToolSpec]]:
    """Return the schema for the provider's structured output, and the tools of the call.

    The schema is None where the answer has no format, or is given by a call of a tool, which is then among the tools.
    `dropped` reports what the strict mode does not take.
    """
    if call.answer is None:
        return None, call.tools
    with_tool = (*call.tools, call.answer.tool)
    if not endpoint.provider_row.structured or endpoint.model_row.structured == "no":
        return None, with_tool
    instead = f"the answer is given by a call of {call.answer.tool.name} instead, and checked here"
    if endpoint.model_row.structured == "refused":
        dropped.append(DroppedParameter(FIELD, f"the provider refuses it; {instead}"))
        return None, with_tool
    try:
        translated = strict_schema(call.answer, dialect)
    except NotExpressible as error:
        dropped.append(DroppedParameter(FIELD, f"{endpoint.model} cannot enforce it ({error}); {instead}"))
        return None, with_tool
    if translated.changes:
        changes = "; ".join(translated.changes)
        reason = f"{endpoint.model} enforces a translation of it ({changes}); the answer is checked here"
        dropped.append(DroppedParameter(FIELD, reason))
    return translated.schema, call.tools
