"""`agent-runtime runner`: what becomes of requests when runners, NATS and runs are killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from functools import partial

import pytest

from agent_runtime.fleet.connection import Connection
from agent_runtime.fleet.event_log import EventLog
from agent_runtime.fleet.messages import publish
from agent_runtime.fleet.names import DEAD, MESSAGE_ID, REASON, RUN_ID, Queue
from agent_runtime.fleet.presence import present
from agent_runtime.testing.model_server import Fault, Request, Turn
from tests.fleet.conftest import Fleet, tool_then_done
from tests.support.ports import ReservedPort
from tests.support.waiting import until

pytestmark = pytest.mark.long

SHORT = 2  # seconds; for runs that fail when their lease ends
WAIT = 'echo x >> "$NAME"; until [ -e go ]; do sleep 0.05; done'


def test_runs_are_executed_and_acknowledged_and_the_runner_is_present(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    runner = fleet.runner("--label", "zone=a")
    for number in range(6):
        fleet.enqueue(f"run.{number}", env={"NAME": f"r{number}"}, metadata={"n": number})
    for number in range(6):
        complete = fleet.complete(f"run.{number}")
        assert (complete["status"], complete["runId"]) == ("completed", f"run.{number}")
        assert complete["metadata"] == {"n": number} and fleet.acted(f"r{number}") == "x\n"
    fleet.nats.until_acknowledged()
    [seen] = fleet.nats.ask(present)
    assert (seen["queue"], seen["labels"], seen["concurrency"]) == ("pool", {"zone": "a"}, 4)
    runner.terminate()
    assert runner.wait(60) == 0
    assert fleet.nats.ask(present) == []


def test_a_drained_runner_finishes_its_runs_and_takes_no_more(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    runner = fleet.runner()
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: fleet.acted("one") != "")
    runner.terminate()
    until(lambda: [seen["draining"] for seen in fleet.nats.ask(present)] == [True])
    fleet.enqueue("two", env={"NAME": "two"})
    (fleet.workspace / "go").touch()
    assert runner.wait(60) == 0
    assert fleet.complete("one")["status"] == "completed"
    assert fleet.nats.events("two") == []
    fleet.runner()
    assert fleet.complete("two")["status"] == "completed"


def test_drained_twice_its_runs_are_cancelled(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    runner = fleet.runner()
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: fleet.acted("one") != "")
    runner.terminate()
    until(lambda: [seen["draining"] for seen in fleet.nats.ask(present)] == [True])
    runner.terminate()
    assert runner.wait(60) == 0
    assert fleet.complete("one")["status"] == "cancelled"


def test_a_drained_runner_without_a_free_place_cancels_its_runs_in_time(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    runner = fleet.runner("--concurrency", "1", "--drain", "1")
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: fleet.acted("one") != "")
    runner.terminate()
    assert runner.wait(60) == 0
    assert fleet.complete("one")["status"] == "cancelled"


def test_a_run_that_has_acted_fails_with_its_runner_and_is_not_run_again(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    runner = fleet.runner(lease=SHORT)
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: fleet.acted("one") != "")
    runner.kill()
    fleet.runner()
    complete = fleet.complete("one")
    assert (complete["status"], complete["error"]["retryable"]) == ("failed", True)
    assert fleet.acted("one") == "x\n"
    fleet.nats.until_acknowledged()


def test_a_run_that_has_not_acted_is_executed_by_another_runner(fleet: Fleet) -> None:
    waited: list[Request] = []

    def turn(request: Request) -> Turn:
        if not waited:
            waited.append(request)
            return Turn(fault=Fault(black_hole=True))
        return tool_then_done('echo x >> "$NAME"')(request)

    fleet.model.script[:] = [turn]
    runner = fleet.runner()
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: bool(waited))
    runner.kill()
    fleet.runner()
    fleet.nats.end_leases(1)
    assert fleet.complete("one")["status"] == "completed"
    assert fleet.acted("one") == "x\n"


def test_a_runner_that_was_frozen_for_longer_than_its_lease_gives_way(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    frozen = fleet.runner(lease=SHORT)
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: fleet.acted("one") != "")
    frozen.send_signal(signal.SIGSTOP)
    fleet.runner()
    assert fleet.complete("one")["status"] == "failed"
    frozen.send_signal(signal.SIGCONT)
    until(lambda: "was stopped" in fleet.log(frozen))
    (fleet.workspace / "go").touch()
    assert fleet.complete("one")["status"] == "failed"
    fleet.enqueue("two", env={"NAME": "two"})  # requests are taken again
    until(lambda: fleet.acted("two") != "")
    fleet.complete("two")


def test_a_server_that_is_killed_loses_no_event_and_no_run(fleet: Fleet) -> None:
    step = 'echo x >> "$NAME"; n=$(wc -l < "$NAME"); until [ -e "go.$n" ]; do sleep 0.05; done'
    turns, names = 3, ("r0", "r1", "r2", "r3")

    def turn(request: Request) -> Turn:
        done = sum(message["role"] == "assistant" for message in request.body["messages"])
        return Turn(text="done") if done == turns else Turn(calls=[("bash", {"command": step})])

    fleet.model.script[:] = [turn]
    fleet.runner()
    for name in names:
        fleet.enqueue(name, env={"NAME": name})
    for number in range(1, turns + 1):
        until(partial(_all_acted, fleet, names, "x\n" * number))
        fleet.nats.kill()
        (fleet.workspace / f"go.{number}").touch()
        fleet.nats.start()
    for name in names:
        assert fleet.complete(name)["status"] == "completed"
        assert fleet.acted(name) == "x\n" * turns


def _all_acted(fleet: Fleet, names: Sequence[str], text: str) -> bool:
    return all(fleet.acted(name) == text for name in names)


def test_a_run_whose_process_is_killed_fails_before_its_tool_ends(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done("echo $PPID > pid; sleep 600")]
    fleet.runner()
    fleet.enqueue("one")
    until(lambda: fleet.acted("pid") != "")
    os.kill(int(fleet.acted("pid")), signal.SIGKILL)
    complete = fleet.complete("one")
    assert (complete["status"], complete["error"]["retryable"]) == ("failed", True)
    assert complete["usage"]["inputTokens"] > 0


def test_what_is_no_request_becomes_a_dead_letter_with_the_reason(fleet: Fleet) -> None:
    fleet.runner()
    bodies = {"json": b"{", "type": b"[]", "field": json.dumps({"prompt": 3}).encode()}

    async def put(connection: Connection) -> None:
        for name, body in bodies.items():
            headers = {RUN_ID: name, MESSAGE_ID: name}
            await connection.js.publish(Queue.parse("pool").work(), body, headers=headers)
        await connection.js.publish(Queue.parse("pool").work(), b'{"prompt": "x"}')

    fleet.nats.ask(put)
    for name in bodies:
        complete = fleet.complete(name)
        assert (complete["status"], complete["error"]["code"]) == ("failed", "invalid_request")

    async def dead(connection: Connection) -> list[tuple[str, bytes]]:
        count = (await connection.js.stream_info(DEAD)).state.messages
        found = [await connection.js.get_msg(DEAD, number + 1) for number in range(count)]
        return [((message.headers or {})[REASON], message.data or b"") for message in found]

    fleet.nats.until_acknowledged()
    letters = fleet.nats.ask(dead)
    assert {body for _, body in letters} == {*bodies.values(), b'{"prompt": "x"}'}
    assert any("prompt" in reason for reason, _ in letters)
    assert any("expected the id of the run" in reason for reason, _ in letters)


def test_messages_may_be_larger_than_the_server_takes(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done('echo x >> "$NAME"')]
    fleet.runner()
    queue = Queue.parse("pool")
    request = {"prompt": "x", "env": {"NAME": "big"}, "metadata": "m" * 3_000_000}
    event = {"type": "start", "seq": 0, "text": "e" * ((1 << 20) - 60)}

    async def put(connection: Connection) -> None:
        headers = {RUN_ID: "big", MESSAGE_ID: "big"}
        data = json.dumps(request).encode()
        await publish(connection, queue, queue.work(), "big", data, headers)
        await EventLog(connection, queue, "other", "test").append(0, json.dumps(event).encode())

    fleet.nats.ask(put)
    assert fleet.complete("big")["status"] == "completed" and fleet.acted("big") == "x\n"
    assert fleet.nats.events("other") == [event]


def test_credentials_that_are_refused_end_the_runner(fleet: Fleet) -> None:
    user = 'authorization { users: [ { user: "u", password: "p" } ] }'
    url = fleet.nats.url.replace("//", "//u:p@")
    fleet.nats.kill()
    fleet.nats.configure(user)
    fleet.nats.start()
    fleet.model.script[:] = [tool_then_done(WAIT)]
    runner = fleet.runner(url=url)
    assert runner.poll() is None, fleet.log(runner)
    fleet.nats.reload('authorization { users: [ { user: "other", password: "p" } ] }')
    assert runner.wait(60) == 1
    assert "does not accept this runner" in fleet.log(runner)
    wrong = fleet.runner(url=url)
    assert wrong.wait(60) == 2 and "accepts this connection" in fleet.log(wrong)
    assert "u:p" not in fleet.log(wrong)


def test_a_request_that_is_queued_twice_is_run_once(fleet: Fleet) -> None:
    fleet.model.script[:] = [tool_then_done(WAIT)]
    fleet.runner()
    fleet.runner()
    fleet.enqueue("one", env={"NAME": "one"})
    until(lambda: fleet.acted("one") != "")

    async def again(connection: Connection) -> None:
        body = b'{"prompt": "x", "env": {"NAME": "one"}}'
        for number in range(3):
            headers = {RUN_ID: "one", MESSAGE_ID: f"copy {number}"}
            await connection.js.publish(Queue.parse("pool").work(), body, headers=headers)

    fleet.nats.ask(again)
    fleet.nats.until_pool(lambda info: info.delivered is not None and info.delivered.consumer_seq >= 4)
    fleet.nats.end_leases(2, 3, 4)  # the copies are delivered again while the run goes on
    fleet.nats.until_pool(lambda info: info.delivered is not None and info.delivered.consumer_seq >= 7)
    (fleet.workspace / "go").touch()
    assert fleet.complete("one")["status"] == "completed" and fleet.acted("one") == "x\n"
    fleet.nats.end_leases(2, 3, 4)
    fleet.nats.until_acknowledged()


def test_a_runner_behind_a_proxy_connects_by_websocket(fleet: Fleet) -> None:
    port = ReservedPort()
    fleet.nats.kill()
    fleet.nats.configure(f'websocket {{ listen: "127.0.0.1:{port.number}", no_tls: true }}')
    fleet.nats.start()
    fleet.runner(queue="device:mac", url=f"ws://127.0.0.1:{port.number}")
    fleet.enqueue("one", "device:mac")
    assert fleet.complete("one", "device:mac")["status"] == "completed"
    port.close()
