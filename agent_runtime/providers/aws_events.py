"""Decodes the binary event stream of Amazon Bedrock, whose events contain those of the Messages format.

A message is: its length, the length of its headers, a checksum of both, headers, payload, a checksum of it all. Source:
the event stream encoding in the documentation of Amazon.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from agent_runtime.providers.sse import MAX_EVENT, Event

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # bytes of a header's value, by its type
_STRINGS = (6, 7)  # types whose value begins with its length
# the types of errors in the Messages format, by Bedrock's exceptions
_ERRORS = {
    "throttlingException": "rate_limit_error",
    "serviceUnavailableException": "overloaded_error",
    "modelTimeoutException": "timeout_error",
    "validationException": "invalid_request_error",
}


class AwsEventDecoder:
    """Decodes the bytes of one stream, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that the piece completes. Raises ValueError for what is not of the format."""
        self._rest += piece
        while len(self._rest) >= _PRELUDE.size:
            size, headers_size, checksum = _PRELUDE.unpack_from(self._rest)
            if zlib.crc32(self._rest[:8]) != checksum:
                raise ValueError("the checksum of a message's length is wrong")
            if not _PRELUDE.size + headers_size + _CHECKSUM.size <= size <= MAX_EVENT:
                raise ValueError(f"a message has the length {size}")
            if len(self._rest) < size:
                return
            message = bytes(self._rest[:size])
            del self._rest[:size]
            yield from _event(message, headers_size)

    def finish(self) -> Iterator[Event]:
        """There are no more pieces. Raises ValueError when a message is not complete."""
        if self._rest:
            raise ValueError("the stream ends inside a message")
        return iter(())


def _event(message: bytes, headers_size: int) -> Iterator[Event]:
    if zlib.crc32(message[: -_CHECKSUM.size]) != _CHECKSUM.unpack_from(message, len(message) - 4)[0]:
        raise ValueError("the checksum of a message is wrong")
    end = _PRELUDE.size + headers_size
    headers = dict(_headers(message[_PRELUDE.size : end]))
    payload = message[end : -_CHECKSUM.size]
    kind = headers.get(":message-type")
    if kind != "event":
        yield Event("error", json.dumps(_error(headers, payload)))
        return
    content: Any = json.loads(payload) if payload else {}
    if headers.get(":event-type") == "chunk" and isinstance(content, dict):
        yield Event("", base64.b64decode(content.get("bytes") or "").decode())


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the headers that are texts. Raises ValueError."""
    at = 0
    try:
        while at < len(data):
            name = data[at + 1 : at + 1 + data[at]].decode()
            at += 1 + data[at]
            kind = data[at]
            at += 1
            if kind in _STRINGS:
                (size,) = struct.unpack_from(">H", data, at)
                at += 2
            else:
                size = _FIXED_SIZES[kind]
            if kind == 7:
                yield name, data[at : at + size].decode()
            at += size
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError(f"a message has invalid headers: {error}") from error


def _error(headers: dict[str, str], payload: bytes) -> dict[str, Any]:
    name = headers.get(":exception-type") or headers.get(":error-code") or "error"
    try:
        message = str(json.loads(payload)["message"])
    except (ValueError, KeyError, TypeError):
        message = headers.get(":error-message") or payload.decode(errors="replace") or name
    return {
        "type": "error",
        "error": {"type": _ERRORS.get(name, "api_error"), "message": f"{name}: {message}"},
    }
