"""Paths as bytes: a name on Linux need not be text, and pathlib knows only text."""
# ruff: noqa: PTH100, PTH111, PTH115, PTH118

from __future__ import annotations

import os
import stat

from agent_runtime.system.safe_open import open_regular


def join(folder: bytes, name: bytes) -> bytes:
    """A path relative to the workspace, whose own is empty."""
    return folder + b"/" + name if folder else name


def under(root: bytes, path: bytes) -> bytes:
    """The whole path; `path` itself when it is absolute."""
    return os.path.join(root, path)


def parent(path: bytes) -> bytes:
    """The folder of a path; empty at the workspace."""
    return path.rpartition(b"/")[0]


def base(path: bytes) -> bytes:
    """The last name of a path."""
    return path.rpartition(b"/")[2]


def real(path: bytes) -> bytes:
    """With all symlinks followed."""
    return os.path.realpath(path)


def located(root: bytes, path: bytes) -> bytes:
    """Where the name itself is: symlinks followed in its folder, not in it."""
    folder, name = os.path.split(os.path.abspath(os.path.join(root, path)))
    return os.path.join(os.path.realpath(folder), name)


def relative(root: bytes, path: bytes) -> bytes:
    """To the root, when it is below it; else the path as it is. Both must be real."""
    top = root.rstrip(b"/") + b"/"
    return path.removeprefix(top)


def home(path: bytes) -> bytes:
    """With a leading `~` spelt out."""
    return os.path.expanduser(path)


def is_text(path: bytes) -> bool:
    """Is it UTF-8?"""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def exists(path: bytes) -> bool:
    """Is the name there, be it a broken symlink?"""
    return os.path.lexists(path)


def is_folder(path: bytes) -> bool:
    """A folder itself, not a symlink to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def link_target(path: bytes) -> bytes:
    """What a symlink says. Raises OSError when it is none."""
    return os.readlink(path)


def read_file(path: bytes) -> bytes:
    """A small regular file; empty when it is none, is a symlink, or cannot be read."""
    try:
        with open(path, "rb", opener=open_quietly) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return b""


def open_quietly(path: str | bytes, flags: int) -> int:
    """An opener for `open` that takes regular files only, and follows no symlink in the last component."""
    return open_regular(path)
