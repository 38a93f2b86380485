"""Reads stdin: the request, then one control message per line.

The request ends with its closing brace: the run starts even when stdin is never closed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.protocol.strict_json import REQUEST_EXAMPLE, decode

REQUEST_LIMIT = 256 << 20  # bytes; a request may carry images
LINE_LIMIT = 4 << 20  # bytes of one control line
_EXPECTED = f"expected one JSON object such as {REQUEST_EXAMPLE}"


class IncompleteRequest(RequestError):
    """The input ends before the request does."""


def read_request(fd: int, begun: bytes = b"") -> tuple[Any, bytes]:
    """Read the first JSON object, and return it with the bytes that were read after it.

    Args:
        fd: the descriptor to read.
        begun: bytes that were already read from it.

    Raises:
        IncompleteRequest: the input ends before the object does.
        RequestError: the input is not JSON, or too long.
    """
    scan = _Braces()
    data = bytearray(begun)
    while (end := scan.feed(data)) is None:
        piece = os.read(fd, 1 << 16)
        if not piece:
            if data.strip() and scan.feed(data + b"\n"):
                return decode(bytes(data)), b""  # not an object, and no newline after it
            what = "the input ends before the closing brace" if data.strip() else "the input is empty"
            raise IncompleteRequest("request", f"{_EXPECTED} on stdin: {what}")
        data += piece
        if len(data) > REQUEST_LIMIT:
            raise RequestError("request", f"expected at most {REQUEST_LIMIT} bytes")
    return decode(bytes(data[:end])), bytes(data[end:])


class _Braces:
    """Finds the end of the first JSON object without parsing it; each byte is examined once."""

    _outside, _inside = re.compile(rb'["{}\n]'), re.compile(rb'["\\]')

    def __init__(self) -> None:
        self._at = 0
        self._depth = 0
        self._string = False

    def feed(self, data: bytearray) -> int | None:
        """Return the offset at which the object ends; None when more input is needed."""
        if self._depth == 0 and not self._string:
            start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
            if start and not start.startswith(
                b"{"
            ):  # not an object: take the whole line for the error message
                end = data.find(b"\n", len(data) - len(start))
                return end + 1 if end >= 0 else None
        while found := (self._inside if self._string else self._outside).search(data, self._at):
            char = found.group()
            self._at = found.end()
            if char == b"\\":
                if self._at == len(data):  # the escaped character was not read yet
                    self._at -= 1
                    return None
                self._at += 1
            elif char == b'"':
                self._string = not self._string
            elif char in b"{}":
                self._depth += 1 if char == b"{" else -1
                if self._depth <= 0:
                    return self._at
        self._at = len(data)
        return None


async def listen(fd: int, rest: bytes, handle: Callable[[bytes], Awaitable[None]]) -> None:
    """Pass every further line of `fd` to `handle`. Closing stdin does not cancel the run."""
    from anyio import wait_readable

    data = bytearray(rest)
    skipping = False  # the rest of a line that is too long, which was reported
    while True:
        while (end := data.find(b"\n")) >= 0:
            line, data = bytes(data[:end]).strip(), data[end + 1 :]
            if line and not skipping:
                await handle(line)
            skipping = False
        if len(data) > LINE_LIMIT:
            if not skipping:
                await handle(bytes(data[:64]) + b" [a control line over 4 MiB]")
            skipping = True
            data.clear()
        with suppress(OSError):  # epoll does not support regular files, and reading one never blocks
            await wait_readable(fd)
        try:
            piece = os.read(fd, 1 << 16)
        except OSError:
            piece = b""
        if not piece:
            if data.strip() and not skipping:
                await handle(bytes(data).strip())
            return
        data += piece
