from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return Lab(folder.resolve())
