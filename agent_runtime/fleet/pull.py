"""Takes requests from a queue one at a time, and gives back those that arrive when no more are wanted."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import StatusCode

from agent_runtime.fleet.connection import TRANSIENT, Connection
from agent_runtime.fleet.names import WORK, Queue

_POLL = 2.0  # seconds that the server holds a request for work; a drain waits for it
_LATE = 3.0  # seconds that its answer may take beyond that
_ENDING = 5.0  # seconds to give back what has arrived
_NOTHING = (StatusCode.NO_MESSAGES, StatusCode.REQUEST_TIMEOUT, StatusCode.CONFLICT)


class Pull:
    """Asks the consumer of a queue for requests.

    The server answers each demand, with a request or with a status. The next one is made after that, so that no request
    is delivered which nobody waits for: it would be with this runner for the whole length of its lease.

    Args:
        connection: to NATS.
        subject: of the API of the consumer.
        inbox: the subjects of the answers are below it.
        subscription: to the inbox.
    """

    def __init__(self, connection: Connection, subject: str, inbox: str, subscription: Subscription) -> None:
        self._client, self._subject = connection.client, subject
        self._inbox, self._subscription = inbox, subscription
        self._demands = 0

    @classmethod
    async def of(cls, connection: Connection, queue: Queue) -> Pull:
        """Subscribe for the requests of a queue. Raises nats.errors.Error."""
        inbox = connection.client.new_inbox()
        subscription = await connection.client.subscribe(f"{inbox}.*")
        return cls(connection, f"$JS.API.CONSUMER.MSG.NEXT.{WORK}.{queue.durable}", inbox, subscription)

    async def next(self) -> Msg | None:
        """Return the next request; None when there is none within 2 seconds.

        Raises nats.errors.Error, or OSError, when the server cannot be reached or refuses to answer.
        """
        answers = await self.demand(_POLL)
        deadline = time.monotonic() + _POLL + _LATE
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = await self._subscription.next_msg(timeout=left)
            except nats.errors.TimeoutError:
                break
            status = JetStreamContext.is_status_msg(message)
            if status is None:
                return message
            if message.subject != answers or status == StatusCode.CONTROL_MESSAGE:
                continue  # of an earlier demand, whose answer was late
            if status in _NOTHING:
                return None
            raise nats.js.errors.APIError.from_msg(message)
        return None

    async def demand(self, seconds: float) -> str:
        """Ask for a request, which the server may send within so many seconds; returns the subject of the answer."""
        self._demands += 1
        answers = f"{self._inbox}.{self._demands}"
        demand = json.dumps({"batch": 1, "expires": int(seconds * 1e9)})
        await self._client.publish(self._subject, demand.encode(), reply=answers)
        return answers

    async def end(self) -> None:
        """Take no more requests: what the server has sent, or sends until it knows that, can be taken by others."""
        ending: asyncio.Future[Any] = asyncio.ensure_future(
            self._subscription.drain()  # type: ignore[no-untyped-call]
        )
        try:
            async with asyncio.timeout(_ENDING):
                while not ending.done():
                    await self._give_back_one(ending)
        except (*TRANSIENT, nats.errors.Error, TimeoutError):
            pass  # the server is gone: it delivers the requests again when their leases have ended
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)

    async def _give_back_one(self, ending: asyncio.Future[Any]) -> None:
        arriving = asyncio.ensure_future(self._subscription.next_msg(timeout=None))
        try:
            await asyncio.wait({ending, arriving}, return_when=asyncio.FIRST_COMPLETED)
            if arriving.done() and JetStreamContext.is_status_msg(arriving.result()) is None:
                await arriving.result().nak()
        finally:
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)
