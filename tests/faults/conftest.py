from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.standby.conftest import Running, standing


@pytest.fixture(scope="session")
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One warm process for all cases: each run is a fork of it."""
    with standing(tmp_path_factory.mktemp("standby")) as running:
        yield running
        assert running.process.poll() is None
