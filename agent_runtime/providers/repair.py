"""A model whose refused calls are made once more in a form that the provider may accept."""

from __future__ import annotations

from dataclasses import dataclass

from agent_runtime.agent.model import Model, ModelCall, OnDelta, Repairer, Turn
from agent_runtime.errors import ProviderError


@dataclass(frozen=True)
class RepairingModel:
    """What the loop calls: a model, and the conversation that can repair a refused call. One repair for each call."""

    model: Model
    repairer: Repairer

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """See agent.model.Model."""
        try:
            return await self.model.turn(call, on_delta)
        except ProviderError as error:
            try:
                repair = await self.repairer.repair(call, error)
            except ProviderError as failed:  # the provider's message and request id say more than ours
                error.details["compaction"] = failed.message
                raise error from failed
            if repair is None:
                raise
        turn = await self.model.turn(repair.call, on_delta)
        await self.repairer.accept(repair)
        return turn
