"""A nats-server in a process of its own, which can be killed and started again with the same data."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from agent_runtime.fleet.connection import Connection, connected
from agent_runtime.fleet.event_log import EventLog
from agent_runtime.fleet.names import Queue
from agent_runtime.fleet.nats_options import NatsOptions
from tests.support.waiting import until

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsProcess:
    """A server with JetStream on loopback."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.port, self._folder = free_port(), folder
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
        self.process.send_signal(1)  # SIGHUP

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def ask(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask something over a connection of its own."""

        async def main() -> T:
            async with connected(NatsOptions(self.url), "test", "test") as connection:
                return await question(connection)

        return asyncio.run(main())

    def events(self, run_id: str, queue: str = "pool") -> list[dict[str, Any]]:
        """The events of a run, in the order of the stream."""

        async def read(connection: Connection) -> list[dict[str, Any]]:
            log = EventLog(connection, Queue.parse(queue), run_id)
            return [stored.event async for stored in log.events()]

        return self.ask(read)

    def work_left(self) -> int:
        """The number of requests that are not acknowledged.

        Those that the stream still has after it was killed, although they are acknowledged, do not count.
        """

        async def count(connection: Connection) -> int:
            info = await connection.js.consumer_info("RUNTIME_WORK", "pool")
            return int(info.num_pending or 0) + int(info.num_ack_pending or 0)

        return self.ask(count)
