"""The stdio transport: JSON-RPC messages as lines on the pipes of a server's process.

Unlike the transport of the MCP library it never blocks on a server that does not read or does not exit, skips
lines that are not messages (banners, binary data), and drops excess messages of a server that floods it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)

from agent_runtime.mcp.process import ServerProcess
from agent_runtime.protocol.messages import clean_text

log = logging.getLogger(__name__)

MAX_MESSAGE = 32 << 20  # bytes of a line
MAX_NOISE = 1 << 20  # bytes of lines that are not messages, in total
MAX_NOISE_LINES = 5000
_BURST = 200  # notifications and requests of a server that are passed on at once
_PER_SECOND = 100  # of them are passed on afterwards
_FLOOD = 10_000  # of them that were dropped: from then on the server is read slowly
_FLOOD_PAUSE = 0.01  # seconds between two reads
_WANTED = frozenset({"notifications/progress", "notifications/cancelled"})

Incoming = SessionMessage | Exception


@asynccontextmanager
async def stdio_transport(process: ServerProcess) -> AsyncIterator[TransportStreams]:
    """Connect to a server's process, which the caller must end."""
    incoming, received = anyio.create_memory_object_stream[Incoming](0)
    # without a limit, so that a request or its cancellation never waits for a server that does not read
    sent, outgoing = anyio.create_memory_object_stream[SessionMessage](math.inf)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_receive, process, incoming)
        tasks.start_soon(_send, process, outgoing, incoming)
        tasks.start_soon(process.drain_stderr)
        try:
            yield received, sent
        finally:
            tasks.cancel_scope.cancel()
            for stream in (incoming, received, sent, outgoing):
                stream.close()


async def _receive(process: ServerProcess, incoming: MemoryObjectSendStream[Incoming]) -> None:
    reader = _Reader()
    with incoming:
        try:
            while piece := await process.read():
                for message in reader.feed(piece):
                    await incoming.send(message)
                if reader.dropped > _FLOOD:
                    await anyio.sleep(_FLOOD_PAUSE)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session is over
        except _BrokenServer as error:
            process.problem = str(error)


async def _send(
    process: ServerProcess,
    outgoing: MemoryObjectReceiveStream[SessionMessage],
    incoming: MemoryObjectSendStream[Incoming],
) -> None:
    try:
        async for message in outgoing:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.write(f"{text}\n".encode())
    except OSError:  # it no longer reads: the session ends with the incoming stream
        incoming.close()


class _BrokenServer(Exception):
    """The output of the server cannot be parsed any longer."""


class _Reader:
    """Splits what a server prints into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._noise = self._noise_lines = 0
        self.dropped = 0  # notifications and requests
        self._allowed = float(_BURST)
        self._last = anyio.current_time()

    def feed(self, piece: bytes) -> list[SessionMessage]:
        """Return the messages that this piece completes. Raises _BrokenServer for a line or noise without end."""
        end = piece.rfind(b"\n") + 1
        if not end:
            self._rest += piece
            if len(self._rest) > MAX_MESSAGE:
                raise _BrokenServer(f"it prints a line of more than {MAX_MESSAGE} bytes")
            return []
        lines = (bytes(self._rest) + piece[:end]).split(b"\n")[:-1]
        self._rest = bytearray(piece[end:])
        return [message for line in lines if (message := self._parse(line))]

    def _parse(self, line: bytes) -> SessionMessage | None:
        if not line.strip():
            return None
        try:
            message = jsonrpc_message_adapter.validate_json(without_surrogates(line), by_name=False)
        except (ValueError, RecursionError):
            if refused := _invalid_answer(line):
                return SessionMessage(refused)
            self._noise += len(line)
            self._noise_lines += 1
            if self._noise > MAX_NOISE or self._noise_lines > MAX_NOISE_LINES:
                raise _BrokenServer("it prints too much that is not an MCP message") from None
            log.debug("not a message: %r", line[:200])
            return None
        if isinstance(message, JSONRPCNotification) and message.method not in _WANTED:
            return None
        unasked = isinstance(message, JSONRPCNotification | JSONRPCRequest)
        return None if unasked and self._is_too_much() else SessionMessage(message)

    def _is_too_much(self) -> bool:
        now = anyio.current_time()
        self._allowed = min(_BURST, self._allowed + (now - self._last) * _PER_SECOND)
        self._last = now
        if self._allowed < 1:
            self.dropped += 1
            return True
        self._allowed -= 1
        return False


def without_surrogates(line: bytes) -> bytes:
    """Replace halves of characters, which servers send when they cut a text, and the parser refuses.

    Raises:
        ValueError, RecursionError: the line is not JSON.
    """
    if b"\\ud" not in line and b"\\uD" not in line:
        return line
    return clean_text(json.dumps(json.loads(line), ensure_ascii=False)).encode()


def _invalid_answer(line: bytes) -> JSONRPCError | None:
    """Return an error for the request that an invalid message answers; None when it is no answer."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not {"result", "error"} & message.keys():
        return None
    if type(id := message.get("id")) not in (int, str):
        return None
    error = ErrorData(code=INTERNAL_ERROR, message="the server's answer is not a valid JSON-RPC response")
    return JSONRPCError(jsonrpc="2.0", id=id, error=error)
