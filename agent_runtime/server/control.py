"""Control messages to runs: their fields, and writing them into the FIFO that is the stdin of a run."""

from __future__ import annotations

import fcntl
import json
import os
import select
import time
from pathlib import Path
from typing import Any, get_args

from agent_runtime.protocol.control import Action, parse_control

MAX_LINE = 4 << 20  # bytes; the runtime reports longer lines as errors
SECONDS = 10.0  # for a run to read what was written before
ACTIONS = get_args(Action)
FIELDS = {
    "pause": ("before",),
    "input": ("text",),
    "answer": ("id", "text"),
    "thaw": ("runId", "run_id", "sandboxId", "sandbox_id", "env"),
}


class NotDelivered(Exception):
    """The run has not read a control message; the message says why."""


class TooLong(Exception):
    """A control message is longer than the runtime accepts."""


def message_of(action: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a control message with those of the fields that belong to the action. Raises RequestError."""
    own = {name: fields[name] for name in FIELDS.get(action, ()) if name in fields}
    message = {"action": action} | own
    parse_control(json.dumps(message).encode())
    return message


def send(control: Path, message: dict[str, Any]) -> None:
    """Write a control message, whole and by itself. Blocks for at most 10 seconds. Raises NotDelivered, TooLong."""
    # an empty line has no effect, except to end a line that another sender has left incomplete
    line = b"\n" + json.dumps(message).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise TooLong(f"expected a message of at most {MAX_LINE >> 20} MiB as JSON")
    try:
        fd = os.open(control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no process has it open for reading
        raise NotDelivered("the run has ended") from None
    deadline = time.monotonic() + SECONDS
    try:
        _lock(fd, deadline)  # a pipe takes more than PIPE_BUF bytes in pieces
        rest = memoryview(line)
        while rest:
            if not select.select([], [fd], [], max(0.0, deadline - time.monotonic()))[1]:
                raise NotDelivered("the run does not read its control messages")
            rest = rest[os.write(fd, rest) :]
    except OSError:
        raise NotDelivered("the run has ended") from None
    finally:
        os.close(fd)


def _lock(fd: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise NotDelivered("the run does not read its control messages") from None
            time.sleep(0.01)
