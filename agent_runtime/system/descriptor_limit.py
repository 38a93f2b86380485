"""The limit of open descriptors of processes: RLIMIT_NOFILE, see getrlimit(2)."""

from __future__ import annotations

import resource
from contextlib import suppress

Limit = tuple[int, int]  # soft, hard


def descriptor_limit() -> Limit:
    """Return the limit of this process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_descriptor_limit() -> None:
    """Raise the limit of this process as far as it may. Child processes inherit it."""
    _, hard = descriptor_limit()
    with suppress(OSError, ValueError):  # the system has a lower maximum
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit_descriptors(pid: int, limit: Limit) -> None:
    """Set the limit of another process, if it still lives."""
    with suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
