"""Parameters that not every model takes: what is sent in their place, and what the caller hears about it."""

from __future__ import annotations

from agent_runtime.agent.model import DroppedParameter, Effort
from agent_runtime.providers.endpoints import Endpoint

EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


def refuse(parameter: str, endpoint: Endpoint) -> DroppedParameter:
    """The model does not take it at all."""
    return DroppedParameter(parameter, f"{endpoint.model} does not take it")


def nearest_effort(effort: Effort, endpoint: Endpoint, dropped: list[DroppedParameter]) -> str:
    """The effort itself, or the next lower one that the model takes: then `dropped` says so."""
    if effort in endpoint.efforts:
        return effort
    lower = [level for level in EFFORTS[: EFFORTS.index(effort)] if level in endpoint.efforts]
    chosen = lower[-1] if lower else endpoint.efforts[0]
    dropped.append(DroppedParameter("effort", f"{endpoint.model} does not take {effort}; {chosen} is used"))
    return chosen
