"""A model whose refused calls are made again in a form that the provider may accept."""

from __future__ import annotations

from agent_runtime.agent.model import Model, ModelCall, OnDelta, Repair, Repairer, Turn
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass

MAX_REPAIRS = 2  # of one call: what the refusal names by its place, then all of that kind


@dataclass(frozen=True)
class RepairingModel:
    """The model that the loop calls: it lets the conversation repair calls that the provider refused."""

    model: Model
    repairer: Repairer

    async def turn(self, call: ModelCall, on_delta: OnDelta) -> Turn:
        """Call the model, at most MAX_REPAIRS more times after refusals. Raises ProviderError.

        The error raised is the provider's: that of the last call which could not be repaired.
        """
        repair: Repair | None = None
        for _ in range(MAX_REPAIRS):
            try:
                turn = await self.model.turn(call, on_delta)
            except ProviderError as error:
                repair = await self._repair(call, error, repair)
                call = repair.call
            else:
                return await self._accepted(turn, repair)
        return await self._accepted(await self.model.turn(call, on_delta), repair)

    async def _repair(self, call: ModelCall, error: ProviderError, earlier: Repair | None) -> Repair:
        if earlier is not None and error.code == "context_overflow":
            raise error  # shortening it once more would not help
        try:
            repair = await self.repairer.repair(call, error, again=earlier is not None)
        except ProviderError as failed:  # the provider's message and request id say more than ours
            error.details["compaction"] = failed.message
            raise error from failed
        if repair is None:
            raise error
        return repair

    async def _accepted(self, turn: Turn, repair: Repair | None) -> Turn:
        if repair is not None:
            await self.repairer.accept(repair)
        return turn
