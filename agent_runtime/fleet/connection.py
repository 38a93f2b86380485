"""The connection to NATS, and the streams and buckets that must exist."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig

from agent_runtime.errors import RequestError
from agent_runtime.fleet.names import DEAD, EVENTS, KEYS, PARTS, RUNNERS, RUNS, WORK, Queue
from agent_runtime.fleet.nats_options import NatsOptions

log = logging.getLogger(__name__)

KEPT = 7 * 86_400.0  # seconds that events and the records of runs are kept
KEYS_KEPT = 86_400.0  # seconds that an idempotency key is remembered
PRESENCE_KEPT = 15.0  # seconds after the last report of a runner
LEASE = 30.0  # seconds; the default of `--lease`
_CONNECT_SECONDS = 10.0  # for the first connection; later ones are tried forever
# seconds within which message ids are compared; a log is also protected by its last sequence number
_DUPLICATES = 120.0
_REFUSALS = 3  # in a row, after which the connection is not tried again
_AUTH = re.compile(r"authori[sz]ation|authentication", re.IGNORECASE)
# exceptions of requests to NATS while a server is being restarted
TRANSIENT = (
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.ConnectionReconnectingError,
    nats.js.errors.NoStreamResponseError,
    nats.js.errors.ServiceUnavailableError,
    OSError,
)


@dataclass
class Connection:
    """A connection that is renewed whenever it breaks.

    Attributes:
        client: publishes and subscribes.
        js: JetStream of the same connection.
        closed: set when the server refuses the credentials; the connection is not renewed then.
    """

    client: Client
    js: JetStreamContext
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def set_up(self) -> None:
        """Create the streams and buckets that are missing. Raises nats.errors.Error."""
        for config in _STREAMS:
            await self._ensure(config)
        for bucket in _BUCKETS:
            if not await self._exists(f"KV_{bucket.bucket}"):
                await self.js.create_key_value(config=bucket)

    async def set_up_queue(self, queue: Queue, lease: float) -> float:
        """Create the consumer of a queue if it is missing; returns its lease in seconds.

        Raises:
            RequestError: that is not permitted, or the server has no JetStream.
        """
        try:
            return await self.lease(queue)
        except (nats.js.errors.NotFoundError, *TRANSIENT):
            pass
        try:
            await self.set_up()
            return await self._new_consumer(queue, lease)
        except (nats.errors.Error, OSError) as error:
            message = f"expected a NATS server with JetStream where this user may use the queue {queue.name} ({error})"
            raise RequestError("--nats", message) from error

    async def _new_consumer(self, queue: Queue, lease: float) -> float:
        config = ConsumerConfig(
            durable_name=queue.durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=lease,
            max_deliver=-1,
            max_ack_pending=-1,
            max_waiting=20_000,
            filter_subject=queue.work(),
        )
        try:
            await self.js.add_consumer(WORK, config)
        except nats.js.errors.BadRequestError as error:  # another process has just created it
            log.debug("consumer %s: %s", queue.durable, error)
        return await self.lease(queue)

    async def lease(self, queue: Queue) -> float:
        """The lease of a queue in seconds: after this time without a renewal a request is delivered again."""
        info = await self.js.consumer_info(WORK, queue.durable)
        return float(info.config.ack_wait or LEASE)

    async def _exists(self, stream: str) -> bool:
        try:
            await self.js.stream_info(stream)
        except nats.js.errors.NotFoundError:
            return False
        return True

    async def _ensure(self, config: StreamConfig) -> None:
        if not await self._exists(str(config.name)):
            await self.js.add_stream(config)


_STREAMS = (
    StreamConfig(
        name=WORK,
        subjects=["runtime.work.>"],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        duplicate_window=_DUPLICATES,
    ),
    StreamConfig(
        name=EVENTS,
        subjects=["runtime.events.>"],
        storage=StorageType.FILE,
        max_age=KEPT,
        duplicate_window=_DUPLICATES,
        allow_direct=True,
    ),
    StreamConfig(
        name=PARTS,
        subjects=["runtime.parts.>"],
        storage=StorageType.FILE,
        max_age=KEPT,
        max_msgs_per_subject=1,
        allow_direct=True,
    ),
    StreamConfig(name=DEAD, subjects=["runtime.dead.>"], storage=StorageType.FILE),
)
_BUCKETS = (
    KeyValueConfig(bucket=RUNS, ttl=KEPT, storage=StorageType.FILE),
    KeyValueConfig(bucket=KEYS, ttl=KEYS_KEPT, storage=StorageType.FILE),
    KeyValueConfig(bucket=RUNNERS, ttl=PRESENCE_KEPT, storage=StorageType.MEMORY),
)


@asynccontextmanager
async def connected(options: NatsOptions, name: str, inbox: str = "runtime") -> AsyncIterator[Connection]:
    """Connect to NATS.

    Args:
        options: where and how.
        name: of the connection, for NATS' monitoring.
        inbox: the subjects of answers are `_INBOX.{inbox}.>`.

    Raises:
        RequestError: there is no server within 10 s, or it refuses the credentials.
    """
    events = _ConnectionEvents()
    connecting = nats.connect(
        name=name,
        inbox_prefix=f"_INBOX.{inbox}".encode(),
        connect_timeout=2,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=events.on_error,
        disconnected_cb=events.on_disconnect,
        reconnected_cb=events.on_reconnect,
        closed_cb=events.on_close,
        **_arguments(options),
    )
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            client = await connecting
    except (TimeoutError, OSError, ValueError, nats.errors.Error) as error:
        reason = str(error) or events.reason
        message = (
            f"expected a NATS server at {options.without_passwords()} that accepts this connection ({reason})"
        )
        raise RequestError("--nats", message) from error
    try:
        yield Connection(client, client.jetstream(timeout=3), events.closed)
    finally:
        events.is_leaving = True
        if not client.is_closed:
            await client.close()


def _arguments(options: NatsOptions) -> dict[str, Any]:
    arguments = options.arguments()
    over_http = any(urlsplit(address).scheme in ("ws", "wss") for address in arguments["servers"])
    if over_http and find_spec("aiohttp") is None:
        raise RequestError("--nats", "WebSocket needs aiohttp: pip install 'agent-runtime[nats]'")
    return arguments


class _ConnectionEvents:
    """The events of a connection. `closed` is set when it is not renewed; `reason` is the last error."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.reason = "no answer"
        self.is_leaving = False
        self._refusals = 0

    async def on_error(self, error: Exception) -> None:
        self.reason = str(error) or type(error).__name__
        log.debug("NATS: %s", self.reason)
        is_refused = isinstance(error, nats.errors.AuthorizationError) or _AUTH.search(self.reason)
        self._refusals = self._refusals + 1 if is_refused else 0
        if self._refusals == _REFUSALS:
            self.closed.set()

    async def on_disconnect(self) -> None:
        if not self.is_leaving:
            log.warning("the connection to NATS is lost; it is made again")

    async def on_reconnect(self) -> None:
        self._refusals = 0
        log.warning("connected to NATS again")

    async def on_close(self) -> None:
        self.closed.set()
