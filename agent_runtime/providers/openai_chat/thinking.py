"""Thinking in Chat Completions: each provider has its own parameters for it."""

from __future__ import annotations

from typing import Any

from agent_runtime.agent.model import DroppedParameter, ModelCall
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.parameters import nearest_effort, refuse

_DEFAULT_EFFORT = "medium"  # for a model that thinks only when an effort is given


def add_thinking(
    body: dict[str, Any], call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]
) -> None:
    """Put `effort` and `thinking` of the call into the body; `dropped` receives what the model has no parameter for."""
    if _must_not_think(body, call, endpoint):
        body["reasoning_effort"] = "none"
        parameter = "effort" if call.effort else "thinking"
        reason = (
            f"with function tools {endpoint.model} does not think over Chat Completions; "
            "the Responses format has no such limit"
        )
        dropped.append(DroppedParameter(parameter, reason))
        return
    effort = _effort(call, endpoint, dropped)
    if call.thinking is not None:
        effort = _switch(body, call, endpoint, effort, dropped)
    if effort is not None and endpoint.provider_row.effort_style == "reasoning":
        body["reasoning"] = body.get("reasoning", {}) | {"effort": effort}
    elif effort is not None:
        body["reasoning_effort"] = effort


def _must_not_think(body: dict[str, Any], call: ModelCall, endpoint: Endpoint) -> bool:
    row = endpoint.model_row
    if not (row.chat_tools_without_thinking and endpoint.provider_row.strict_chat_tools and "tools" in body):
        return False
    if call.thinking is False:
        return call.effort is not None
    return bool(call.effort or call.thinking or row.thinks_by_default)


def _effort(call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]) -> str | None:
    if call.effort is None:
        return None
    row = endpoint.model_row
    if endpoint.provider_row.effort_style and (row.efforts or row.thinking in ("unknown", "budget")):
        return nearest_effort(call.effort, endpoint, dropped)
    dropped.append(refuse("effort", endpoint))
    return None


def _switch(
    body: dict[str, Any],
    call: ModelCall,
    endpoint: Endpoint,
    effort: str | None,
    dropped: list[DroppedParameter],
) -> str | None:
    """Switch thinking on or off as the call asks; returns the effort to send."""
    row, provider = endpoint.model_row, endpoint.provider_row
    if row.thinking == "none":
        if call.thinking:
            dropped.append(refuse("thinking", endpoint))
    elif not call.thinking and row.thinking_off.by == "nothing":
        dropped.append(DroppedParameter("thinking", f"{endpoint.model} cannot switch thinking off"))
    elif row.thinking == "fixed":
        pass  # it thinks, as asked
    elif provider.thinking_style == "enable_thinking":
        body["enable_thinking"] = call.thinking
    elif provider.thinking_style == "thinking":
        body["thinking"] = {"type": "enabled" if call.thinking else "disabled"}
    elif not provider.effort_style:
        dropped.append(DroppedParameter("thinking", f"{endpoint.provider} has no parameter for it"))
    else:
        return _switch_by_effort(body, call, endpoint, effort, dropped)
    return effort


def _switch_by_effort(
    body: dict[str, Any],
    call: ModelCall,
    endpoint: Endpoint,
    effort: str | None,
    dropped: list[DroppedParameter],
) -> str | None:
    row = endpoint.model_row
    if not call.thinking:
        if row.thinking_off.by == "omission" and not row.thinks_by_default and effort is None:
            return None
        if effort is not None:
            dropped.append(DroppedParameter("effort", "thinking is switched off"))
        return "minimal" if row.thinking_off.value == "minimal" else "none"
    if effort is not None:
        return effort
    if endpoint.provider_row.effort_style == "reasoning":
        body["reasoning"] = {"enabled": True}
    elif not row.thinks_by_default:
        return _DEFAULT_EFFORT
    elif row.thinking == "unknown":
        reason = f"it is not known whether {endpoint.model} can switch it on"
        dropped.append(DroppedParameter("thinking", reason))
    return None
