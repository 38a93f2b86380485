"""Requests that were pulled from a queue and not taken: others can take them before the lease has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.fleet.connection import Connection
from agent_runtime.fleet.names import MESSAGE_ID, Queue
from agent_runtime.fleet.pull import Pull
from tests.fleet.nats_process import NatsProcess

pytestmark = pytest.mark.long

LEASE = 3600.0  # seconds: no test waits for its end
POOL = Queue.parse("pool")


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsProcess]:
    process = NatsProcess(tmp_path)
    yield process
    process.close()


async def enqueue(connection: Connection, name: str) -> None:
    await connection.js.publish(POOL.work(), name.encode(), headers={MESSAGE_ID: name})


async def taken(pull: Pull) -> str:
    """The next request, which is there."""
    async with asyncio.timeout(60):
        while (message := await pull.next()) is None:
            pass
    await message.ack()
    return message.data.decode()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_request_that_arrives_when_no_more_are_wanted_is_taken_by_another(
    nats: NatsProcess, when: str
) -> None:
    async def main(connection: Connection) -> None:
        await connection.set_up_queue(POOL, LEASE)
        ending, other = await Pull.of(connection, POOL), await Pull.of(connection, POOL)
        await ending.demand(60)
        await ending.demand(60)
        if when == "before":  # two requests are on their way, nobody waits for them
            await enqueue(connection, "one")
            await enqueue(connection, "two")
            await connection.client.flush()
        await ending.end()
        if when == "after":  # the demands were made in vain
            await enqueue(connection, "one")
            await enqueue(connection, "two")
        assert {await taken(other), await taken(other)} == {"one", "two"}

    nats.ask(main)


def test_the_answers_of_earlier_demands_end_no_later_one(nats: NatsProcess) -> None:
    async def main(connection: Connection) -> None:
        await connection.set_up_queue(POOL, LEASE)
        pull = await Pull.of(connection, POOL)
        await pull.demand(0.001)
        await pull.demand(0.001)
        [message, _] = await asyncio.gather(pull.next(), enqueue(connection, "one"))
        assert message is not None and message.data == b"one"
        assert await pull.next() is None

    nats.ask(main)


def test_requests_are_taken_in_order_and_once(nats: NatsProcess) -> None:
    async def main(connection: Connection) -> None:
        await connection.set_up_queue(POOL, LEASE)
        names = [str(number) for number in range(20)]
        for name in names:
            await enqueue(connection, name)
        pull = await Pull.of(connection, POOL)
        assert [await taken(pull) for _ in names] == names
        await pull.end()
        info = await connection.js.consumer_info("RUNTIME_WORK", POOL.durable)
        assert (info.num_ack_pending, info.num_pending, info.num_redelivered) == (0, 0, 0)

    nats.ask(main)


def test_a_server_that_is_gone_does_not_hold_up_the_end(nats: NatsProcess) -> None:
    async def main(connection: Connection) -> None:
        await connection.set_up_queue(POOL, LEASE)
        pull = await Pull.of(connection, POOL)
        nats.kill()
        async with asyncio.timeout(30):
            await pull.end()
        nats.start()

    nats.ask(main)
