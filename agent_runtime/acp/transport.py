"""Messages of a client as lines; what is not a message of JSON-RPC is answered with an error, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from acp._transport import NdjsonTransport
from acp.task import MessageSender

from agent_runtime.protocol.messages import MAX_DEPTH, clean_text, too_deep

Json = dict[str, Any]

_PARSE_ERROR, _INVALID_REQUEST = -32700, -32600


class LineTransport(NdjsonTransport):
    """The transport of the protocol's library, with checks of what a client sends.

    Args:
        reader: the lines of the client; its limit is that of a line.
        sender: writes to the client.
    """

    def __init__(self, reader: asyncio.StreamReader, sender: MessageSender) -> None:
        super().__init__(reader, sender)
        self._lines = reader

    async def receive(self) -> Json | None:
        """Return the next message; None when the client has closed its end."""
        while True:
            try:
                line = await self._lines.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                line = error.partial
                if not line:
                    return None
            except asyncio.LimitOverrunError as error:
                await self._lines.readexactly(error.consumed)  # the rest of the line is not a message either
                await self._refuse(_PARSE_ERROR, "the line is too long", None)
                continue
            if line.strip() and (message := await self._message(line)) is not None:
                return message

    async def _message(self, line: bytes) -> Json | None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._refuse(_PARSE_ERROR, "expected JSON on one line", None)
            return None
        if not isinstance(message, dict):
            await self._refuse(_INVALID_REQUEST, "expected an object", None)
            return None
        id = message.get("id")
        is_id = id is None or (isinstance(id, int | str) and not isinstance(id, bool))
        if problem := _problem(message) if is_id else "id: expected a number or a string":
            await self._refuse(_INVALID_REQUEST, problem, id if is_id else None)
            return None
        cleaned: Json = _clean(message)
        return cleaned

    async def _refuse(self, code: int, problem: str, id: Any) -> None:
        error = {"code": code, "message": problem}
        await self.send({"jsonrpc": "2.0", "id": id, "error": error})


def _problem(message: Json) -> str:
    """Return what is wrong with a message; empty when nothing is."""
    if too_deep(message, MAX_DEPTH):
        return f"expected at most {MAX_DEPTH} levels of nesting"
    if "method" not in message:
        return "" if "id" in message and ("result" in message or "error" in message) else "method: required"
    if not isinstance(message["method"], str):
        return "method: expected a string"
    return "" if isinstance(message.get("params") or {}, dict) else "params: expected an object"


def _clean(value: Any) -> Any:
    """Return a JSON value without lone surrogates, which cannot be written back in UTF-8."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(name): _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
