"""A batch: many requests on this machine, a number of them at once. It can be killed at any moment and resumed."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_runtime.fleet.batch_files import BatchRequest, Results
from agent_runtime.fleet.batch_runs import RunSource
from agent_runtime.protocol.request_body import UNANSWERED
from agent_runtime.server.run import Run, result

_RUN_BYTES = 150 << 20  # memory that is set aside for a run and its tools
_MOST = 64
_BACKOFF = 1.0  # seconds before the first retry of a request; each further one waits twice as long


def default_concurrency() -> int:
    """How many runs this machine takes at once: 8 for each core, with 150 MiB of memory each, at most 64."""
    cores = len(os.sched_getaffinity(0))
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) << 10
    return max(1, min(8 * cores, available // _RUN_BYTES, _MOST))


@dataclass
class Tally:
    """The counts and costs of a batch so far.

    Attributes:
        total: requests.
        statuses: of the results.
        running: requests whose runs are active.
        cost: US dollars; the runs of models without a known price are not counted.
        unpriced: results without a cost.
    """

    total: int
    statuses: Counter[str] = field(default_factory=Counter)
    running: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @property
    def done(self) -> int:
        """Requests with a result."""
        return sum(self.statuses.values())

    def add(self, complete: dict[str, Any]) -> None:
        """Count a result."""
        usage = complete["usage"]
        self.statuses[complete["status"]] += 1
        self.input_tokens += usage["inputTokens"]
        self.output_tokens += usage["outputTokens"]
        cost = usage.get("costUsd")
        self.cost += cost or 0.0
        self.unpriced += cost is None


class Batch:
    """Executes requests until each has a result.

    Args:
        runs: where the requests are run.
        requests: all of them.
        results: requests that have a result there are not run again.
        concurrency: runs at once.
        retries: how often a request is tried again if its run failed with a retryable error.
        limit_cost: US dollars; once the results have cost this much, no further run is started.
        changed: called whenever the tally has changed.
    """

    def __init__(
        self,
        runs: RunSource,
        requests: Sequence[BatchRequest],
        results: Results,
        *,
        concurrency: int,
        retries: int,
        limit_cost: float | None,
        changed: Callable[[], None],
    ) -> None:
        self._runs, self._results, self._retries = runs, results, retries
        self._limit_cost, self._changed = limit_cost, changed
        done = {result["line"] for result in results.stored}
        self._waiting = iter([request for request in requests if request.line not in done])
        self._concurrency = concurrency
        self._active: set[Run] = set()
        self._cancelling: list[asyncio.Future[bool]] = []
        self.stopped = False
        self.tally = Tally(len(requests))
        for complete in results.stored:
            self.tally.add(complete)

    async def work(self) -> None:
        """Execute all requests. Returns early when the limit of the cost is reached, or after `stop`."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(self._worker())

    def stop(self) -> None:
        """Start nothing more, and cancel the runs. Their requests are run again when the batch is resumed."""
        self.stopped = True
        self._cancelling = [asyncio.ensure_future(run.send({"action": "cancel"})) for run in self._active]

    @property
    def limit_reached(self) -> bool:
        """Whether the results have cost as much as they may."""
        return self._limit_cost is not None and self.tally.cost >= self._limit_cost

    async def _worker(self) -> None:
        while not self.stopped and not self.limit_reached:
            request = next(self._waiting, None)
            if request is None:
                return
            self.tally.running += 1
            self._changed()
            complete = await self._result(request)
            self.tally.running -= 1
            if complete:
                self._results.add(request.line, complete)
                self.tally.add(complete)
            self._changed()

    async def _result(self, request: BatchRequest) -> dict[str, Any] | None:
        """The `complete` event of the last attempt; None when the batch was stopped in between."""
        retries = 0
        for attempt in itertools.count(1):
            run_id = request.run_id(attempt)
            run, is_new = await self._started(request, run_id)
            complete = await self._followed(run)
            if complete["status"] == "cancelled" and (self.stopped or not is_new):
                if self.stopped:
                    return None
                continue  # cancelled when an earlier process of this batch was stopped
            if not _retryable(complete) or retries == self._retries:
                return complete
            if self.stopped:
                return None
            await asyncio.sleep(_BACKOFF * 2**retries if is_new else 0)
            retries += 1
            self.tally.retries += 1
        raise AssertionError("the attempts do not end by themselves")

    async def _started(self, request: BatchRequest, run_id: str) -> tuple[Run, bool]:
        """The run of that id, and whether it is a new one: an earlier process of this batch may have started it."""
        earlier = await self._runs.find(run_id)
        if earlier:
            return earlier, False
        asked = request.request
        if asked.ask_user and asked.question_timeout is None:  # the run would wait forever
            asked = asked.model_copy(update={"question_timeout": UNANSWERED})
        return await self._runs.start(asked, run_id), True

    async def _followed(self, run: Run) -> dict[str, Any]:
        self._active.add(run)
        try:
            return await result(run)
        finally:
            self._active.discard(run)


def _retryable(complete: dict[str, Any]) -> bool:
    return complete["status"] == "failed" and bool((complete.get("error") or {}).get("retryable"))
