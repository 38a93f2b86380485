"""Opening pipes, so that none of their ends stays open when what they are for fails."""

from __future__ import annotations

import os
from contextlib import ExitStack


def pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Open a pipe. Raises OSError, as at the limit of descriptors.

    Args:
        reader: closes the reading end, which is returned first.
        writer: closes the writing end.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write
