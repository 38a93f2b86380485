"""`--nats auto`: a nats-server that we start on loopback, with its data and address in the state directory.

The first `serve` starts it and restarts it when it ends; later processes with the same state directory connect to it.
It ends with that `serve`, and the next one starts it again at the same address with the same data.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from secrets import token_hex

from agent_runtime.errors import RequestError

_PROGRAM = ("nats-server", "/usr/sbin/nats-server")
_MAX_PAYLOAD = 8 << 20  # bytes: an event, and most requests, in one message
_START = 10.0  # seconds for the server to listen
_STOP = 5.0
_LOOK = 0.05


def program() -> str:
    """The path of nats-server. Raises RequestError when it is not installed."""
    if found := next(filter(None, map(shutil.which, _PROGRAM)), None):
        return found
    raise RequestError("--nats", "auto: nats-server is not installed (Debian: apt-get install nats-server)")


def stored_url(state_dir: Path) -> str:
    """The address of the server of a state directory. Raises RequestError when there is none."""
    try:
        return (state_dir / "nats" / "url").read_text("utf-8")
    except OSError:
        message = f"auto: there is no server of {state_dir}; start `agent-runtime serve --nats auto` first"
        raise RequestError("--nats", message) from None


@asynccontextmanager
async def own_server(state_dir: Path) -> AsyncIterator[str]:
    """Run the server of a state directory, unless another process does; returns its address.

    Raises:
        RequestError: nats-server is not installed, or does not start.
    """
    folder = state_dir / "nats"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield stored_url(state_dir)
            return
        server = _OwnServer(folder)
        await server.start()
        keeping = asyncio.ensure_future(server.keep())
        try:
            yield server.url
        finally:
            keeping.cancel()
            await server.stop()
    finally:
        os.close(lock)


class _OwnServer:
    """A nats-server.

    Args:
        folder: for its data, its configuration and its address.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = program()
        self._port, self._secret = self._address()
        self.url = f"nats://{self._secret}@127.0.0.1:{self._port}"

    def _address(self) -> tuple[int, str]:
        """The stored port and token if the port is free, else new ones."""
        path = self._folder / "url"
        with suppress(OSError, ValueError):
            secret, _, port = path.read_text("utf-8").removeprefix("nats://").replace("@", ":").rsplit(":", 2)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", int(port)))
            return int(port), secret
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1]), token_hex(16)

    async def start(self) -> None:
        """Start the process, and wait until it listens. Raises RequestError."""
        config = self._folder / "server.conf"
        _write(
            config,
            f'listen: "127.0.0.1:{self._port}"\n'
            f"jetstream {{ store_dir: {json.dumps(str(self._folder))} }}\n"
            f"authorization {{ token: {json.dumps(self._secret)} }}\n"
            f"max_payload: {_MAX_PAYLOAD}\n"
            f"log_file: {json.dumps(str(self._folder / 'log.txt'))}\n",
        )
        _write(self._folder / "url", self.url)
        command = [self._program, "-c", str(config)]
        if setpriv := shutil.which("setpriv"):  # the server ends with this process, even if that is killed
            command = [setpriv, "--pdeathsig", "TERM", "--", *command]
        nothing = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
        )
        try:
            async with asyncio.timeout(_START):
                while not await self._listens():
                    if self._process.returncode is not None:
                        raise TimeoutError
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            await self.stop()
            message = f"auto: nats-server did not start; see {self._folder / 'log.txt'}"
            raise RequestError("--nats", message) from None

    async def keep(self) -> None:
        """Restart the server whenever it ends."""
        while True:
            await self._process.wait()
            with suppress(RequestError):
                await self.start()
            await asyncio.sleep(_LOOK)

    async def stop(self) -> None:
        """Stop the server."""
        for end in (self._process.terminate, self._process.kill):
            with suppress(ProcessLookupError):
                end()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP):
                    await self._process.wait()
                    return

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True


def _write(path: Path, text: str) -> None:
    """Write a file that only this user can read, in one step."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.rename(path)
