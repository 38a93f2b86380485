from __future__ import annotations

import pytest
from hypothesis import settings

pytest_plugins = ("agent_runtime.testing.plugin",)

# The same examples each time: a run that fails can be run again. For others: --hypothesis-profile=default
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
