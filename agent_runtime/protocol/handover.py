"""How a run is handed to a standby: the lines around the request and the events, and the descriptors.

The first line is a preamble, `{"standby": {"cwd", "env", "options"}}`: the working directory and environment of the
sender, and the options of its command line. Descriptors that come with it are, in this order, the stderr, stdin and
stdout of the run; without the last two the connection itself is stdin and stdout. The request follows. The standby
answers with the line `{"pid": N}` before, and `{"exit": N}` after the events.

After a run without the last line, `{"standby": {"ended": PID}}` in the place of a request asks how it has ended: the
answer is `{"killed": SIGNAL}`, with 0 where that is not known.
"""

from __future__ import annotations

import json
from typing import Any

from agent_runtime.errors import RequestError

_LONGEST_PATH = 107  # bytes of the path of a Unix socket
PREAMBLE, PID, EXIT, KILLED = "standby", b'{"pid": ', b'{"exit": ', b'{"killed": '
MAX_DESCRIPTORS = 3


def preamble(cwd: str, env: dict[str, str], options: dict[str, Any]) -> bytes:
    """Return the line that is sent before the request."""
    return json.dumps({PREAMBLE: {"cwd": cwd, "env": env, "options": options}}).encode() + b"\n"


def check_socket_path(path: str) -> None:
    """Raise RequestError when a socket cannot have this path."""
    size = len(path.encode(errors="surrogateescape"))
    if not 0 < size <= _LONGEST_PATH:
        message = (
            f"expected a path of 1 to {_LONGEST_PATH} bytes, got {size}; use a shorter or a relative one"
        )
        raise RequestError("socket", message, label="--socket")
