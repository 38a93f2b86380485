"""A runner: takes requests from a queue and executes each as a process of its own."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import nats.js.errors
from nats.aio.msg import Msg

from agent_runtime.fleet.attempt import Attempt, RunnerContext
from agent_runtime.fleet.connection import TRANSIENT
from agent_runtime.fleet.messages import heed_cancellation
from agent_runtime.fleet.presence import Presence
from agent_runtime.fleet.pull import Pull

log = logging.getLogger(__name__)

_PAUSE = 0.2  # seconds after a failed demand for a request


class Runner:
    """Takes requests until it is drained.

    Args:
        context: what its attempts share.
        presence: reports which runs are active.
        concurrency: runs at once.
    """

    def __init__(self, context: RunnerContext, presence: Presence, *, concurrency: int) -> None:
        self._context, self._presence = context, presence
        self._free = asyncio.Semaphore(concurrency)
        self._attempts: dict[asyncio.Task[None], Attempt] = {}
        self._draining = asyncio.Event()

    async def work(self, drain: float) -> bool:
        """Work until `drain` is called, or the connection is closed for good.

        Args:
            drain: seconds for the runs to end once it is drained; then they are cancelled.

        Returns:
            Whether it was drained; False when the server has refused the connection.
        """
        closed: asyncio.Future[Any] = asyncio.ensure_future(self._context.connection.closed.wait())
        present: asyncio.Future[Any] = asyncio.ensure_future(self._presence.keep())
        taking: asyncio.Future[Any] = asyncio.ensure_future(self._take())
        try:
            await asyncio.wait({taking, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not closed.done():
                await self._finish(drain, closed)
            return not closed.done()
        finally:
            for task in (taking, present, closed, *self._attempts):
                task.cancel()
            await asyncio.gather(taking, present, closed, *self._attempts, return_exceptions=True)
            await self._presence.leave()

    def drain(self) -> None:
        """Take no more requests. When called again, cancel the runs."""
        if self._draining.is_set():
            for attempt in self._attempts.values():
                attempt.cancel()
        self._draining.set()
        self._free.release()
        self._presence.draining = True
        self._presence.changed.set()

    async def _finish(self, seconds: float, closed: asyncio.Future[Any]) -> None:
        """Let the runs end; cancel them when they take longer."""
        tasks = set(self._attempts)
        if not tasks:
            return
        ended: asyncio.Future[Any] = asyncio.ensure_future(asyncio.wait(tasks))
        await asyncio.wait({ended, closed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done() and not closed.done():
            self.drain()
            await asyncio.wait({ended, closed}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()

    async def _take(self) -> None:
        pull = await Pull.of(self._context.connection, self._context.queue)
        while not self._draining.is_set():
            await self._free.acquire()  # a drain releases it
            message = await self._next(pull)
            heed_cancellation()
            if message is None:
                self._free.release()
            elif self._draining.is_set():
                await message.nak()
            else:
                self._start(message)
        await pull.end()

    async def _next(self, pull: Pull) -> Msg | None:
        """The next request; None when there is none at the moment."""
        if self._draining.is_set():
            return None
        try:
            return await pull.next()
        except (*TRANSIENT, nats.js.errors.APIError) as error:
            log.debug("no request: %s", error)
            await asyncio.sleep(_PAUSE)
            return None

    def _start(self, message: Msg) -> None:
        attempt = Attempt(self._context, message)
        task = asyncio.ensure_future(attempt.work())
        self._attempts[task] = attempt
        self._presence.running.add(attempt.run_id)
        self._presence.changed.set()
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        attempt = self._attempts.pop(task)
        self._presence.running.discard(attempt.run_id)
        self._presence.changed.set()
        self._free.release()
        with suppress(asyncio.CancelledError):
            if error := task.exception():
                log.error("run %s", attempt.run_id, exc_info=error)
