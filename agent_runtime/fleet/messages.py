"""Messages of any size: one that is too large for the server is stored in pieces, and the message has their number."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import nats.js.errors
from nats.js.api import PubAck

from agent_runtime.fleet.connection import TRANSIENT, Connection
from agent_runtime.fleet.names import PART_COUNT, PARTS, Queue

_HEADERS = 4096  # bytes of a message that are left for its headers
_WAIT = 0.2  # seconds between two attempts
T = TypeVar("T")


def heed_cancellation() -> None:
    """Raise CancelledError when this task has been cancelled.

    asyncio.wait_for of Python 3.11, which the client uses for each request, ignores a cancellation that comes together
    with the answer. Every loop around requests calls this, so that it ends nevertheless.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


async def persistently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a request to NATS for as long as the server cannot be reached."""
    while True:
        try:
            found = await call()
            heed_cancellation()
            return found
        except TRANSIENT:
            await asyncio.sleep(_WAIT)


async def publish(
    connection: Connection, queue: Queue, subject: str, id: str, data: bytes, headers: Mapping[str, str]
) -> PubAck:
    """Store a message; it is stored when this returns.

    Args:
        connection: to NATS.
        queue: the queue under whose subjects pieces are stored.
        subject: of the message.
        id: names the pieces.
        data: the content.
        headers: of the message.

    Raises:
        nats.errors.Error: it may or may not be stored (connection.TRANSIENT), or it is refused.
    """
    most = connection.client.max_payload - _HEADERS
    if len(data) <= most:
        return await connection.js.publish(subject, data, headers=dict(headers))
    parts = [data[start : start + most] for start in range(0, len(data), most)]
    for number, part in enumerate(parts):
        await connection.js.publish(queue.part(id, number), part)
    return await connection.js.publish(subject, b"", headers={**headers, PART_COUNT: str(len(parts))})


async def content(
    connection: Connection, queue: Queue, id: str, data: bytes | None, headers: Mapping[str, str] | None
) -> bytes:
    """The content of a message, from its pieces if there are any.

    Raises:
        nats.js.errors.NotFoundError: the pieces are no longer kept.
    """
    count = int((headers or {}).get(PART_COUNT, 0))
    if not count:
        return data or b""
    parts = []
    for number in range(count):
        part = await connection.js.get_msg(PARTS, subject=queue.part(id, number), direct=True)
        parts.append(part.data or b"")
    return b"".join(parts)


def is_wrong_sequence(error: nats.js.errors.APIError) -> bool:
    """Whether a message was refused because another one has been stored on its subject."""
    return error.err_code in (10071, 10164)
