"""The steps of a run after its loop has ended: ending processes, the last scan, closing what is open."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from agent_runtime.engine import result
from agent_runtime.engine.context import RunContext
from agent_runtime.engine.result import RunResult
from agent_runtime.engine.services import RunServices
from agent_runtime.engine.tasks import guarded, name_of
from agent_runtime.shell.call_processes import Background
from agent_runtime.system.terminate import end_descendants

log = logging.getLogger(__name__)

FINAL_SCAN_SECONDS = 20.0  # for the last scan of a run that ended by itself
STOPPED_SECONDS = 0.8  # the same for a run that was stopped, whose caller is waiting


class RunShutdown:
    """Shuts a run down in steps that are limited in time.

    Args:
        ctx: the context of the run.

    Attributes:
        background: what ran in the background when the loop had ended.
    """

    def __init__(self, ctx: RunContext) -> None:
        self.background: list[Background] = []
        self._ctx = ctx
        self._step: anyio.CancelScope | None = None  # the present one
        self._killed = False

    async def run(self, services: RunServices, ended: RunResult) -> RunResult:
        """End the processes that must not outlive the run, detach the others, and scan the workspace once more.

        Returns:
            The result of the run, which is another one when a second signal has killed its processes.
        """
        self.background = services.background()
        limit = STOPPED_SECONDS if self._ctx.stop.reason else FINAL_SCAN_SECONDS
        steps: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (partial(services.tools.aclose, kill=self.ends_all(ended)), limit),
            (services.final_scan, limit),
            (services.close, STOPPED_SECONDS),
        ]
        if self._ctx.replay and not self._ctx.replay.keep_servers:
            steps.append((end_descendants, limit))
        for step, seconds in steps:
            started = time.monotonic()
            with anyio.move_on_after(0 if self._killed else seconds) as self._step:
                await guarded(step)
            log.debug("%s: %.3f s of at most %g s", name_of(step), time.monotonic() - started, seconds)
        if self._killed and self.background and ended.status == "completed":
            # the model believes that what was killed is running
            return result.interrupted(self._ctx.stop.reason or "cancelled", ended.output, None)
        return ended

    def ends_all(self, ended: RunResult) -> bool:
        """Return whether what the tools have left running is ended with the run."""
        return self._killed or ended.status == "cancelled" or ended.stop == "timeout"

    def abandon(self) -> None:
        """Skip the rest: a second signal has killed all processes of the run."""
        self._killed = True
        if self._step:
            self._step.cancel()
