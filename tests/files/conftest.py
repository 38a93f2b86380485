from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.editor_fixture import EditorFixture


@pytest.fixture
def editor(tmp_path: Path) -> EditorFixture:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return EditorFixture(folder.resolve())
