"""Keys from file descriptors: `ANTHROPIC_API_KEY_FD=3`, or `"apiKey": "fd:3"` in a request.

Such a key is in no environment and no argument list. A descriptor is read once, to its first line end, and closed.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Mapping

from agent_runtime.errors import RequestError
from agent_runtime.providers.clouds import file_variables, secret_variables
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.provider_variables import key_variables

_SUFFIX = "_FD"
_PREFIX = "fd:"
_MAX_KEY = 64 << 10  # bytes
_TIMEOUT = 5.0  # seconds for the writer of a pipe


def secret_names(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    """Return the variables that hold keys, and the credentials of clouds that authorize requests to the endpoints."""
    named = {endpoint.key_variable for endpoint in endpoints}
    return key_variables().union(
        named, *(secret_variables(each.provider_row) for each in endpoints if not each.api_key)
    )


def file_names(endpoints: Iterable[Endpoint]) -> frozenset[str]:
    """Return the variables that name files with such credentials. The libraries of the clouds read these variables."""
    rows = [endpoint.provider_row for endpoint in endpoints if not endpoint.api_key]
    return frozenset().union(*map(file_variables, rows))


def received(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the keys that descriptors hold in place of their numbers.

    Raises RequestError naming the variable.
    """
    known = {name + _SUFFIX: name for name in key_variables()}
    taken = {known[name]: _read(environ[name], name) for name in environ.keys() & known.keys()}
    return {name: value for name, value in environ.items() if name not in known} | taken


def from_request(api_key: str) -> str:
    """The key in a request's `apiKey`, or in the descriptor that it names. Raises RequestError."""
    number = api_key.removeprefix(_PREFIX)
    return api_key if number == api_key else _read(number, "model.apiKey")


def _read(number: str, field: str) -> str:
    try:
        fd = int(number)
        # a descriptor of the launcher is inheritable; those of this program are closed on exec
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
    deadline = time.monotonic() + _TIMEOUT
    while b"\n" not in data and len(data) < _MAX_KEY:
        if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"no line end within {_TIMEOUT:g} seconds")
        piece = os.read(fd, _MAX_KEY)
        if not piece:
            break
        data += piece
    return data.partition(b"\n")[0].decode().strip()
