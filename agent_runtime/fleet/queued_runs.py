"""The runs of a batch whose requests are put into a queue."""

from __future__ import annotations

from dataclasses import replace

from agent_runtime.fleet.dispatch import Dispatch
from agent_runtime.fleet.names import Queue
from agent_runtime.fleet.remote_run import RemoteRun
from agent_runtime.protocol.request import Request
from agent_runtime.server.runs import new_record


class QueuedRuns:
    """Runs of a queue; see batch_runs.RunSource. Waits for as long as NATS cannot be reached.

    Args:
        dispatch: puts requests into the queue.
        queue: the queue for the requests.
    """

    def __init__(self, dispatch: Dispatch, queue: Queue) -> None:
        self._dispatch, self._queue = dispatch, queue

    async def find(self, run_id: str) -> RemoteRun | None:
        """The run with this id."""
        run = await self._dispatch.search(run_id)
        if run and await run.is_waiting():
            # the process that stored the record may have been killed before it queued the request: start it again
            return None
        return run

    async def start(self, request: Request, run_id: str) -> RemoteRun:
        """Put a request into the queue."""
        record = new_record(request, run_id=run_id, thread_id=request.thread_id)
        return await self._dispatch.enqueue(request, replace(record, queue=self._queue.name), is_new=False)
