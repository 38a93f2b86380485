"""What makes no event: clients, UDP, the runtime's own sockets, and servers of others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from agent_runtime.dev_servers import ownership
from agent_runtime.errors import ToolError
from agent_runtime.system import sockets
from agent_runtime.system.processes import Process
from tests.dev_servers.conftest import Launch, Watching
from tests.dev_servers.scripts import ANSWER, LISTEN, STAY, UNTIL_GO
from tests.dev_servers.watchers import DAEMON, listening_port, make_watcher, run_words
from tests.support.waiting import until_async

pytestmark = pytest.mark.anyio

CLIENT = """
import signal, socket, sys
calls = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(300)]
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
bound = socket.socket(); bound.bind(("127.0.0.1", 0))
open("ready", "w").write(str(u.getsockname()[1]))
signal.pause()
"""


async def test_clients_udp_own_sockets_and_earlier_servers_are_not_reported(
    watching: Watching, python: Launch, launch: Launch, tmp_path: Path
) -> None:
    earlier = python(
        LISTEN.replace("sys.argv[1]", "0") + "print(s.getsockname()[1])" + ANSWER + STAY, log=tmp_path / "log"
    )
    before = int(
        await until_async(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().strip()) or 0
    )
    with socket.create_server(("127.0.0.1", 0), backlog=400) as own:
        async with watching(template="https://{port}.example.com") as scene:
            with socket.create_server(("127.0.0.1", 0)):
                python(CLIENT, str(own.getsockname()[1]))
                udp = int(
                    await until_async(
                        lambda: (tmp_path / "ready").exists() and (tmp_path / "ready").read_text()
                    )
                    or 0
                )
                assert await scene.all_events(launch) == []
                assert (await scene.servers.settle(), scene.servers.left()) == ([], [])

            found = await scene.servers.wait_for(before, 1)
            assert found and (found.http, found.pid) == (None, None)
            described = await scene.servers.locate(before, 1, check=True)
            assert described.startswith(
                f"https://{before}.example.com (inside the sandbox: http://localhost:{before})\n"
            )
            assert "did not start" in described and "HTTP" not in described
            with pytest.raises(ToolError, match="UDP"):
                await scene.servers.locate(udp, 0)
            earlier.kill()
            assert await scene.all_events(launch) == []


async def test_a_server_of_another_process_tree_is_not_reported(
    python: Launch, watching: Watching, tmp_path: Path
) -> None:
    """Seen from a runtime that is another process: what is not below it was not started by it."""
    os.mkfifo(tmp_path / "commands")
    runtime = python(DAEMON)
    await until_async((tmp_path / "ready").exists)
    async with watching(root_pid=runtime.pid) as scene:
        other = python(LISTEN + ANSWER + STAY)
        await until_async(lambda: listening_port(other.pid))
        below_runtime = partial(run_words, tmp_path, tmp_path)
        assert (await scene.all_events(below_runtime), scene.servers.up()) == ([], [])


async def test_an_earlier_process_that_listens_later_is_not_reported(
    python: Launch, launch: Launch, watching: Watching, tmp_path: Path
) -> None:
    """As PID 1 the runtime has children that none of its tools started."""
    earlier = python(UNTIL_GO + LISTEN + STAY)
    async with watching() as scene:
        (tmp_path / "go").touch()
        await until_async(lambda: listening_port(earlier.pid))
        assert await scene.all_events(launch) == []


async def test_sock_diag_and_proc_list_the_same_sockets() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        process = Process.of(os.getpid())
        assert process
        own = process.sockets

        def key(found: list[sockets.Listener]) -> set[tuple[bytes, int]]:
            return {(s.address, s.port) for s in found if s.inode in own}

        mine = {(b"\x7f\0\0\1", four.getsockname()[1]), (bytes(15) + b"\1", six.getsockname()[1])}
        assert key(sockets.listeners()) == key(sockets.read_listeners()) == mine


async def test_proc_is_read_when_sock_diag_is_unavailable(
    watching: Watching, python: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "listening", _refuse)
    async with watching() as scene:
        server = python(
            LISTEN.replace('"0.0.0.0"', '"::"').replace(
                "backlog", "family=socket.AF_INET6, dualstack_ipv6=True, backlog"
            )
            + ANSWER
            + STAY
        )
        up = await scene.event("up", pid=server.pid)
        assert (up.local_url, up.loopback_only) == (f"http://localhost:{up.port}", False)


async def test_unreadable_socket_tables_are_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent_runtime.dev_servers.ownership.listeners", _refuse)
    blind = make_watcher()
    await blind.watch(_never)  # returns at once
    assert (await blind.settle(), await blind.finish(), blind.up(), blind.left()) == ([], [], [], [])
    assert await blind.wait_for(80, 0) is None
    assert [record.message for record in caplog.records] == [
        "dev servers are not watched: [Errno 13] Permission denied"
    ]


def test_start_up_imports_nothing_heavy() -> None:
    heavy = {"asyncio", "anyio", "ssl", "logging", "ipaddress"}
    loaded = _modules(ownership.__name__) - _modules("agent_runtime.protocol.events")
    assert loaded & heavy == set()


def _modules(name: str) -> set[str]:
    program = f"import sys, {name}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def _refuse() -> list[object]:
    raise PermissionError(13, "Permission denied")


async def _never(event: object) -> None:
    raise AssertionError(event)
