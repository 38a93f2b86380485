"""Control messages of many clients to one run: in one thread at a time, which waits for the run to read them."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from agent_runtime.server.control import SECONDS, NotDelivered
from agent_runtime.server.run_files import RunFiles


class Senders:
    """Writes control messages. A run that does not read takes one thread, however many clients send messages to it.

    Used inside one asyncio event loop.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, files: RunFiles, message: dict[str, Any]) -> None:
        """Write a message. Raises NotDelivered, TooLong; see `control.send`."""
        lock = self._locks.setdefault(files.folder.name, asyncio.Lock())
        try:
            async with asyncio.timeout(SECONDS):
                await lock.acquire()
        except TimeoutError:
            raise NotDelivered("the run does not read its control messages") from None
        sending = asyncio.ensure_future(asyncio.to_thread(files.send, message))
        # not released earlier if the client leaves, because the thread goes on
        sending.add_done_callback(lambda _: lock.release())
        await asyncio.shield(sending)
