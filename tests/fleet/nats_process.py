"""A nats-server in a process of its own, which can be killed and started again with the same data."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from nats.aio.msg import Msg
from nats.js.api import ConsumerInfo

from agent_runtime.errors import RequestError
from agent_runtime.fleet.connection import TRANSIENT, Connection, connected
from agent_runtime.fleet.event_log import EventLog
from agent_runtime.fleet.names import WORK, Queue
from agent_runtime.fleet.nats_options import NatsOptions
from tests.support.ports import ReservedPort
from tests.support.waiting import until

T = TypeVar("T")

SECONDS = 60.0  # to wait for what must come
_LOOK = 0.05  # seconds between two looks


class NatsProcess:
    """A server with JetStream on loopback."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self._reserved, self._folder = ReservedPort(), folder
        self.port = self._reserved.number
        self.url = f"nats://127.0.0.1:{self.port}"
        self.log = folder / "nats.log"
        self._config = folder / "nats.conf"
        self.configure(config)
        self.start()

    def configure(self, text: str) -> None:
        store = json.dumps(str(self._folder / "nats"))
        listen = f'listen: "127.0.0.1:{self.port}"'
        log = f"log_file: {json.dumps(str(self.log))}"
        jetstream = f"jetstream {{ store_dir: {store} }}"
        self._config.write_text("\n".join([listen, jetstream, log, text, ""]))

    def start(self) -> None:
        program = shutil.which("nats-server") or "/usr/sbin/nats-server"
        self.process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        until(self._listens)

    def reload(self, text: str) -> None:
        self.configure(text)
        self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Kill the server, and give its port back."""
        self.kill()
        self._reserved.close()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def ask(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask something over a connection of its own; once more when the server does not answer in time."""

        async def main() -> T:
            async with connected(NatsOptions(self.url), "test", "test") as connection:
                return await question(connection)

        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return asyncio.run(main())
            except (RequestError, *TRANSIENT):
                assert time.monotonic() < deadline, "the NATS server does not answer"

    def events(self, run_id: str, queue: str = "pool") -> list[dict[str, Any]]:
        """The events of a run, in the order of the stream."""

        async def read(connection: Connection) -> list[dict[str, Any]]:
            log = EventLog(connection, Queue.parse(queue), run_id)
            return [stored.event async for stored in log.events()]

        return self.ask(read)

    def until_complete(self, run_id: str, queue: str = "pool") -> None:
        """Wait until the last event of a run is `complete`."""

        async def is_complete(connection: Connection) -> bool:
            last = await EventLog(connection, Queue.parse(queue), run_id).last()
            return last is not None and last.is_complete

        self.ask(_until(is_complete))

    def until_pool(self, condition: Callable[[ConsumerInfo], bool]) -> None:
        """Wait until a condition holds for the consumer of the pool."""

        async def holds(connection: Connection) -> bool:
            return condition(await connection.js.consumer_info(WORK, "pool"))

        self.ask(_until(holds))

    def end_leases(self, *numbers: int) -> None:
        """Let requests of the pool be delivered again at once, as if their leases had ended.

        Args:
            numbers: of the requests, in the order of their first deliveries, from 1.
        """

        async def refuse(connection: Connection) -> None:
            for number in numbers:
                subject = f"$JS.ACK.{WORK}.pool.1.{number}.{number}.0.0"
                await connection.client.publish(subject, Msg.Ack.Nak)
            await connection.client.flush()

        self.ask(refuse)

    def until_acknowledged(self) -> None:
        """Wait until every request of the pool is acknowledged.

        Not for a server that was killed: nats-server 2.9 stores acknowledgements after it has answered them, and
        after a kill it may count requests for ever that it has removed from the stream.
        """
        self.until_pool(lambda info: not info.num_pending and not info.num_ack_pending)


def _until(condition: Callable[[Connection], Awaitable[bool]]) -> Callable[[Connection], Awaitable[None]]:
    async def wait(connection: Connection) -> None:
        deadline = time.monotonic() + SECONDS
        while not await condition(connection):
            assert time.monotonic() < deadline, f"nothing within {SECONDS:g} s"
            await asyncio.sleep(_LOOK)

    return wait
