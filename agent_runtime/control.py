"""What comes in on stdin: the request, then one control message a line.

The request is complete when its last brace is, so that a stdin which is never closed keeps nobody waiting.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from agent_runtime.errors import RequestError
from agent_runtime.messages import clean_text

REQUEST_LIMIT = 256 << 20  # bytes; a request may carry images
LINE_LIMIT = 4 << 20  # bytes of one control line
_EXPECTED = 'expected one JSON object such as {"prompt": "..."}'


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


def decode(text: bytes | str, field: str = "request") -> Any:
    """JSON as the standard has it (no NaN), in UTF-8. Raises RequestError."""

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(
            text.decode("utf-8-sig") if isinstance(text, bytes) else text, parse_constant=constant
        )
    except RecursionError:
        raise RequestError(field, f"{_EXPECTED}: it is nested too deeply") from None
    except ValueError as error:
        raise RequestError(field, f"{_EXPECTED}: {error}") from None


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


@dataclass(frozen=True)
class Control:
    """A control message; `text` comes with `input`."""

    action: Literal["pause", "resume", "cancel", "input"]
    text: str | None = None


def parse_control(line: bytes) -> Control:
    """One control line. Raises RequestError naming the field."""
    message = decode(line, "control")
    action = message.get("action") if isinstance(message, dict) else None
    if action not in ("pause", "resume", "cancel", "input"):
        raise RequestError("action", 'expected one of "pause", "resume", "cancel", "input"')
    if action != "input":
        return Control(action)
    text = message.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RequestError("text", 'expected a text that is not empty with {"action":"input"}')
    return Control(action, clean_text(text))


class Inbox:
    """What the caller has asked for while the run goes on. Made inside the event loop."""

    def __init__(self, cancel: Callable[[str], None]) -> None:
        import anyio

        self._texts: list[str] = []
        self._open = anyio.Event()
        self._open.set()
        self._cancel = cancel
        self._new_event = anyio.Event

    @property
    def pending(self) -> bool:
        """Is there a message that the model has not been given?"""
        return bool(self._texts)

    @property
    def paused(self) -> bool:
        """Is the run held before its next step?"""
        return not self._open.is_set()

    async def ready(self) -> None:
        """Returns at once, or when a paused run is resumed."""
        await self._open.wait()

    def take(self) -> list[str]:
        """The messages that came in, oldest first."""
        texts, self._texts = self._texts, []
        return texts

    def handle(self, line: bytes) -> Control:
        """Do what a control line says. Raises RequestError, having changed nothing, when it says nothing known."""
        control = parse_control(line)
        match control.action:
            case "pause":
                if not self.paused:
                    self._open = self._new_event()
            case "resume":
                self._open.set()
            case "cancel":
                self._cancel("cancelled")
            case "input":
                self.deliver(control.text or "")
        return control

    def deliver(self, text: str) -> None:
        """A user message for the next model call."""
        self._texts.append(text)


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
