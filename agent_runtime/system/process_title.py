"""The name and the command line of this process, as ps(1), pkill(1) and killall(1) see them.

Tools often end programs by name. Under its own command line the runtime would be one of them: that has `python`, and
the path of the workspace, in it.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path


def set_title(title: str) -> None:
    """Show `title` in place of the command line; its first 15 bytes are the name. Does nothing where /proc is not."""
    data = title.encode()
    with suppress(OSError):
        Path("/proc/self/comm").write_bytes(data[:15])
    with suppress(OSError, ValueError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, fields 48 and 49 of proc(5)
        if 0 < start < end:
            ctypes.memset(start, 0, end - start)
            ctypes.memmove(start, data, min(len(data), end - start - 1))
