from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent_runtime.changes import baseline
from tests.changes.workspace import TrackedWorkspace


@pytest.fixture
def tracked(tmp_path: Path) -> TrackedWorkspace:
    return TrackedWorkspace(tmp_path)


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """No inotify from here on, as where the limit of instances is reached."""

    def refuse(root: bytes) -> None:
        raise OSError(24, "Too many open files")

    return lambda: monkeypatch.setattr(baseline, "Inotify", refuse)


@pytest.fixture(params=["inotify", "walks"])
def detection(request: pytest.FixtureRequest, blind: Callable[[], None]) -> str:
    """Both ways by which changes are found; with "walks" there is no inotify from the start."""
    if request.param == "walks":
        blind()
    return str(request.param)
