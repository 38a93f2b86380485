"""Reading stdin: the request, then one control message per line.

The request is complete at its last brace, so a stdin that is never closed does not delay the run.
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


def read_request(fd: int, begun: bytes = b"") -> tuple[Any, bytes]:
    """The first JSON object on `fd`, and the bytes that were read beyond it. Raises RequestError.

    Args:
        fd: where to read.
        begun: what was read of it already.
    """
    scan = _Braces()
    data = bytearray(begun)
    while (end := scan.feed(data)) is None:
        piece = os.read(fd, 1 << 16)
        if not piece:
            if data.strip() and scan.feed(data + b"\n"):
                return decode(bytes(data)), b""  # no object, and no newline behind it
            what = "the input ends before its last brace" if data.strip() else "the input is empty"
            raise RequestError("request", f"{_EXPECTED} on stdin: {what}")
        data += piece
        if len(data) > REQUEST_LIMIT:
            raise RequestError("request", f"expected at most {REQUEST_LIMIT} bytes")
    return decode(bytes(data[:end])), bytes(data[end:])


class _Braces:
    """Finds the end of the first JSON object without parsing it; each byte is looked at once."""

    _outside, _inside = re.compile(rb'["{}\n]'), re.compile(rb'["\\]')

    def __init__(self) -> None:
        self._at = 0
        self._depth = 0
        self._string = False

    def feed(self, data: bytearray) -> int | None:
        """Where the object ends, or None when it does not yet."""
        if self._depth == 0 and not self._string:
            start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
            if start and not start.startswith(b"{"):  # no object: take the line, its error will name it
                end = data.find(b"\n", len(data) - len(start))
                return end + 1 if end >= 0 else None
        while found := (self._inside if self._string else self._outside).search(data, self._at):
            char = found.group()
            self._at = found.end()
            if char == b"\\":
                if self._at == len(data):  # the escaped character is not here yet
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
    """Hand every further line of `fd` to `handle`. Its end is no cancel: the run goes on without a listener."""
    from anyio import wait_readable

    data = bytearray(rest)
    told = False  # that the line which is being read is too long
    while True:
        while (end := data.find(b"\n")) >= 0:
            line, data = bytes(data[:end]).strip(), data[end + 1 :]
            if line and not told:
                await handle(line)
            told = False
        if len(data) > LINE_LIMIT:
            if not told:
                await handle(bytes(data[:64]) + b" [a control line over 4 MiB]")
            told = True
            data.clear()
        with suppress(OSError):  # epoll takes no regular file, and reading one never blocks
            await wait_readable(fd)
        try:
            piece = os.read(fd, 1 << 16)
        except OSError:
            piece = b""
        if not piece:
            if data.strip() and not told:
                await handle(bytes(data).strip())
            return
        data += piece
