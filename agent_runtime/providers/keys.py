"""Keys that come by a file descriptor: `ANTHROPIC_API_KEY_FD=3`, or `"apiKey": "fd:3"` in a request.

What comes this way was never in an environment or an argument list. A descriptor is read once, to its first
line end, and closed.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping

from agent_runtime.errors import RequestError
from agent_runtime.providers.endpoints import key_variables

_SUFFIX = "_FD"
_PREFIX = "fd:"
_LONGEST = 64 << 10  # bytes
_PATIENCE = 5.0  # seconds for whoever holds the other end of a pipe


def received(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the keys in it that came by descriptors, in the place of their numbers.

    Raises RequestError naming the variable.
    """
    known = {name + _SUFFIX: name for name in key_variables()}
    taken = {known[name]: _read(environ[name], name) for name in environ.keys() & known.keys()}
    return {name: value for name, value in environ.items() if name not in known} | taken


def from_request(api_key: str) -> str:
    """A request's `apiKey`: itself, or what the descriptor holds that it names. Raises RequestError."""
    number = api_key.removeprefix(_PREFIX)
    return api_key if number == api_key else _read(number, "model.apiKey")


def _read(number: str, field: str) -> str:
    try:
        fd = int(number)
        # whoever launched this program passed it on; ours are closed on exec, and none of them is meant
        if fd < 3 or not os.get_inheritable(fd):
            raise ValueError("no such descriptor was passed to this program")
        try:
            text = _line(fd)
        finally:
            os.close(fd)
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RequestError(field, f"expected the number of an open file descriptor: {reason}") from error
    if not text:
        raise RequestError(field, "expected a key on this descriptor, got nothing")
    return text


def _line(fd: int) -> str:
    data = b""
    deadline = time.monotonic() + _PATIENCE
    while b"\n" not in data and len(data) < _LONGEST:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"no whole line came in {_PATIENCE:g} seconds")
        piece = os.read(fd, _LONGEST)
        if not piece:
            break
        data += piece
    return data.partition(b"\n")[0].decode().strip()
