"""The names of all subjects, streams, buckets and consumers in NATS.

| subject | stream | what |
| --- | --- | --- |
| `runtime.work.QUEUE` | `RUNTIME_WORK`, a work queue | a request, until its run has ended |
| `runtime.events.QUEUE.RUN` | `RUNTIME_EVENTS` | the events of a run |
| `runtime.parts.QUEUE.ID.N` | `RUNTIME_PARTS` | the pieces of a request or an event that is too large for one message |
| `runtime.dead.QUEUE` | `RUNTIME_DEAD` | requests that are not tried again, with the reason |
| `runtime.control.QUEUE.RUN` | none | control messages; the runner of the run answers |

QUEUE is `pool` (or another name), or `device.ID`: permissions for one device are those for `runtime.*.device.ID.>`.
Buckets: `RUNTIME_RUNS` (records of runs), `RUNTIME_KEYS` (idempotency keys), `RUNTIME_RUNNERS` (presence).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_runtime.errors import RequestError

WORK, EVENTS, PARTS, DEAD = "RUNTIME_WORK", "RUNTIME_EVENTS", "RUNTIME_PARTS", "RUNTIME_DEAD"
RUNS, KEYS, RUNNERS = "RUNTIME_RUNS", "RUNTIME_KEYS", "RUNTIME_RUNNERS"

# Headers of messages. An attempt is one delivery of a request to one runner: only one attempt writes to a log.
MESSAGE_ID, EXPECTED_LAST, ATTEMPT = "Nats-Msg-Id", "Nats-Expected-Last-Subject-Sequence", "Runtime-Attempt"
PART_COUNT, REASON, RUN_ID, DELIVERIES = (
    "Runtime-Parts",
    "Runtime-Reason",
    "Runtime-Run",
    "Runtime-Deliveries",
)

_POOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


def token(text: str) -> str:
    """Return a text as one part of a subject: other characters than letters, digits, `_` and `-` as `=XX`."""
    return _PLAIN.sub(
        lambda found: "".join(f"={byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")), text
    )


@dataclass(frozen=True)
class Queue:
    """A queue of requests.

    Attributes:
        name: as users write it: `pool`, or `device:ID`.
        subject: the name as part of a subject.
        durable: of its consumer.
        is_device: whether it belongs to one device, whose runner has permissions for its own subjects only.
    """

    name: str
    subject: str
    durable: str
    is_device: bool

    @classmethod
    def parse(cls, name: str, *, field: str = "--queue") -> Queue:
        """Return the queue with this name. Raises RequestError."""
        kind, colon, device = name.partition(":")
        if colon and kind == "device" and device:
            return cls(name, f"device.{token(device)}", f"device_{token(device)}", is_device=True)
        if name == "device" or not _POOL.fullmatch(name):
            expected = "expected a name of letters, digits and '-', such as 'pool', or 'device:ID'"
            raise RequestError(field, f"{expected}, got {name!r}")
        return cls(name, name, name, is_device=False)

    def work(self) -> str:
        """The subject of its requests."""
        return f"runtime.work.{self.subject}"

    def events(self, run_id: str) -> str:
        """The subject of the events of a run."""
        return f"runtime.events.{self.subject}.{token(run_id)}"

    def control(self, run_id: str) -> str:
        """The subject of the control messages for a run."""
        return f"runtime.control.{self.subject}.{token(run_id)}"

    def part(self, id: str, number: int) -> str:
        """The subject of a piece of a message."""
        return f"runtime.parts.{self.subject}.{token(id)}.{number}"

    def dead(self) -> str:
        """The subject of its requests that are not tried again."""
        return f"runtime.dead.{self.subject}"

    def presence(self, runner: str) -> str:
        """The key of the presence of a runner."""
        return f"{self.subject}.{token(runner)}"
