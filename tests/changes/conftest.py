from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent_runtime.changes import baseline
from tests.changes.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """No inotify from here on, as where the limit of instances is reached."""

    def refuse(root: bytes) -> None:
        raise OSError(24, "Too many open files")

    return lambda: monkeypatch.setattr(baseline, "Inotify", refuse)
