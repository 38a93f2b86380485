"""The directory of diffs: bounded in sum, and never with an incomplete file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.changes import diff_files
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.diff_files import DiffFiles


def limits(degradation: Degradation) -> list[object]:
    return [(notice.details or {})["limit"] for notice in degradation.take()]


def test_a_full_disk_leaves_no_incomplete_file(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    degradation = Degradation()
    files = DiffFiles(tmp_path / "diffs", degradation)
    assert files.write(pieces()) is None
    assert list((tmp_path / "diffs").iterdir()) == []
    kept = files.write([b"who", b"le"])
    assert kept and Path(kept).read_bytes() == b"whole"
    assert limits(degradation) == ["disk"]


def test_the_total_size_of_diff_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_files, "_LIMIT", 10)
    degradation = Degradation()
    files = DiffFiles(tmp_path, degradation)
    written = [files.write([b"1234", b"56"]), files.write([b"1234", b"56"]), files.write([b"1234"])]
    assert [bool(file) for file in written] == [True, False, True]
    assert sorted(map(str, tmp_path.iterdir())) == [file for file in written if file]
    assert limits(degradation) == ["diff_budget"]
