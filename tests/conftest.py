from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ("agent_runtime.testing.plugin",)

# The same examples each time: a run that fails can be run again. For others: --hypothesis-profile=default
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace, apart from the other files of the test."""
    path = tmp_path / "workspace"
    path.mkdir()
    return path
