"""Folders that other users can enter."""

from __future__ import annotations

import tempfile
from pathlib import Path


def let_others_enter(folder: Path) -> None:
    """Let other users read a folder of a test: pytest makes the folders above it for its own user alone."""
    shared = Path(tempfile.gettempdir()).resolve()
    for path in (folder, *folder.parents):
        if path.resolve() == shared or not path.resolve().is_relative_to(shared):
            return
        path.chmod(path.stat().st_mode | 0o555)
