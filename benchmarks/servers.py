"""The cost of watching for dev servers: one look at the sockets, one search for an owner, on a busy machine.

Run: python benchmarks/servers.py [PROCESSES] [SOCKETS] [CONNECTIONS]
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from agent_runtime.dev_servers.ownership import Ownership
from agent_runtime.dev_servers.socket_owners import Before, SocketOwners
from agent_runtime.dev_servers.urls import Template
from agent_runtime.dev_servers.watcher import INTERVAL, DevServerWatcher
from agent_runtime.system.sockets import listeners, read_listeners

_SLEEPERS = (
    "import os, sys, time\nfor _ in range(int(sys.argv[1])):\n    if not os.fork(): break\ntime.sleep(600)"
)


def main() -> None:
    count, sockets, connections = [*map(int, sys.argv[1:]), 1000, 500, 2000][:3]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with _processes(count), ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(sockets)]
        for _ in range(connections // 2):  # both ends count
            stack.enter_context(socket.create_connection(held[0].getsockname(), timeout=5))
            stack.enter_context(held[0].accept()[0])
        one = {os.fstat(s.fileno()).st_ino: s.getsockname()[1] for s in held[:1]}
        finder = SocketOwners(os.getpid(), "none", Path("/nowhere"))
        print(f"{count} processes, {sockets} listening sockets, {connections} connections; in milliseconds:")
        _report("the sockets, by sock_diag", listeners, 50)
        _report("the sockets, by /proc/net/tcp", read_listeners, 20)
        _report("who owns a socket (once for each new one)", lambda: finder.find(one, Before()), 5)
        _report("the same when no process of the run does", lambda: finder.find({1: 1}, Before()), 5)
        whole = anyio.run(_whole_look)
        share = whole / INTERVAL / 10
        print(f"  a whole look of the watch: {whole:.3f}; at one in {INTERVAL} s: {share:.2f} % of a core")


async def _whole_look() -> float:
    ownership = Ownership()
    ownership.begin()
    servers = DevServerWatcher(ownership, Template(None))
    began, looks = time.process_time(), 100
    for _ in range(looks):
        await servers.settle()
    return (time.process_time() - began) / looks * 1000


def _report(what: str, work: Callable[[], object], times: int) -> None:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    print(f"  {what}: median {statistics.median(taken):.3f}, max {max(taken):.3f}")


@contextmanager
def _processes(count: int) -> Iterator[None]:
    parent = subprocess.Popen([sys.executable, "-S", "-c", _SLEEPERS, str(count)], start_new_session=True)
    try:
        while len(os.listdir("/proc")) < count:  # noqa: PTH208
            time.sleep(0.05)
        yield
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()


if __name__ == "__main__":
    main()
