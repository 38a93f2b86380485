"""Writes what the kernel still holds in memory to the disk."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def sync_filesystems(paths: Iterable[Path]) -> None:
    """Sync the filesystems of these folders, each once. A folder that cannot be opened is left out."""
    syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    done: set[int] = set()
    for path in paths:
        with suppress(OSError):
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                device = os.fstat(folder).st_dev
                if device not in done:
                    done.add(device)
                    syncfs(folder)
            finally:
                os.close(folder)
