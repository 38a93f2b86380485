"""Only regular files are opened, and nothing waits, whatever the path leads to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.system.safe_open import NotRegularError, open_regular, read_bounded


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("file", "fifo", "directory", "nowhere"):
        (tmp_path / f"link-{name}").symlink_to(name)
    previous = Path.cwd()
    os.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        yield tmp_path
    os.chdir(previous)


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize(
    "name", ["directory", "fifo", "socket", "/dev/zero", "/dev/null", "link-fifo", "link-directory"]
)
def test_files_that_are_not_regular_are_refused_without_opening_them(
    folder: Path, name: str, follow: bool
) -> None:
    with pytest.raises(NotRegularError):
        open_regular(folder / name, follow=follow)
    with pytest.raises(OSError, match="regular file"):
        read_bounded(folder / name, 10)


def test_a_symlink_is_followed_only_on_request(folder: Path) -> None:
    with pytest.raises(NotRegularError):
        open_regular(folder / "link-file")
    with os.fdopen(open_regular(folder / "link-file", follow=True), "rb") as file:
        assert file.read() == b"0123456789"
    with pytest.raises(FileNotFoundError):
        open_regular(folder / "link-nowhere", follow=True)


@pytest.mark.parametrize("path", ["file", b"file", Path("file")])
def test_files_are_opened_relative_to_a_directory(folder: Path, path: str | bytes | Path) -> None:
    directory = os.open(folder, os.O_PATH)
    try:
        with os.fdopen(open_regular(path, dir_fd=directory), "rb") as file:
            assert file.read() == b"0123456789"
            assert not os.get_inheritable(file.fileno())
    finally:
        os.close(directory)


def test_one_byte_more_than_the_limit_is_read(folder: Path) -> None:
    assert read_bounded(folder / "link-file", 4) == b"01234"
    assert read_bounded(folder / "file", 100) == b"0123456789"


def test_files_outside_and_files_of_processes_are_refused(folder: Path) -> None:
    with pytest.raises(OSError, match="outside of"):
        read_bounded(folder / "link-file", 4, inside=folder / "directory")
    with pytest.raises(NotRegularError):
        read_bounded(Path("/proc/self/environ"), 4)
