from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).with_name("faulty_server.py")


def faulty(*faults: str, **settings: Any) -> dict[str, Any]:
    """The settings of a server that has these faults."""
    return {"command": sys.executable, "args": ["-I", str(SERVER), *faults]} | settings


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path
