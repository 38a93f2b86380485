"""Paths as bytes: file names on Linux need not be UTF-8."""
# ruff: noqa: PTH100, PTH111, PTH115, PTH118

from __future__ import annotations

import os
import stat
from pathlib import Path

from agent_runtime.system.safe_open import open_regular, read_bounded

_SETTINGS_LIMIT = 1 << 20  # bytes of a settings file that are read


def join(folder: bytes, name: bytes) -> bytes:
    """Join a directory, which may be empty, and a name."""
    return folder + b"/" + name if folder else name


def under(root: bytes, path: bytes) -> bytes:
    """Return the whole path; `path` itself when it is absolute."""
    return os.path.join(root, path)


def parent(path: bytes) -> bytes:
    """Return the directory of a relative path; empty at the top."""
    return path.rpartition(b"/")[0]


def base(path: bytes) -> bytes:
    """Return the last name of a path."""
    return path.rpartition(b"/")[2]


def real(path: bytes) -> bytes:
    """Return the path with all symlinks followed."""
    return os.path.realpath(path)


def located(root: bytes, path: bytes) -> bytes:
    """Return the path with symlinks followed in its directory, not in its last name."""
    folder, name = os.path.split(os.path.abspath(os.path.join(root, path)))
    return os.path.join(os.path.realpath(folder), name)


def relative(root: bytes, path: bytes) -> bytes:
    """Return the path relative to the root; unchanged when it is not below it. Both must be real paths."""
    top = root.rstrip(b"/") + b"/"
    return path.removeprefix(top)


def home(path: bytes) -> bytes:
    """Return the path with a leading `~` expanded."""
    return os.path.expanduser(path)


def is_text(path: bytes) -> bool:
    """Whether it is UTF-8."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def exists(path: bytes) -> bool:
    """Whether the name exists, if only as a broken symlink."""
    return os.path.lexists(path)


def stat_of(path: bytes) -> os.stat_result | None:
    """Return the stat of a name, of a symlink its own; None when it does not exist or cannot be examined."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def is_folder(path: bytes) -> bool:
    """Whether it is a directory, not a symlink to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def is_readable(folder: bytes) -> bool:
    """Whether a directory can be listed and entered."""
    return os.access(folder, os.R_OK | os.X_OK)


def link_target(path: bytes) -> bytes:
    """Return the target of a symlink. Raises OSError when it is not one."""
    return os.readlink(path)


def read_file(path: bytes) -> bytes:
    """Return the content of a small regular file; empty when it is a symlink or cannot be read."""
    try:
        with open(path, "rb", opener=open_quietly) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return b""


def read_followed(path: bytes) -> bytes:
    """Like `read_file`, with symlinks followed: for files of the user, who may keep them elsewhere."""
    try:
        return read_bounded(Path(os.fsdecode(path)), _SETTINGS_LIMIT)
    except OSError:
        return b""


def open_quietly(path: str | bytes, flags: int) -> int:
    """An opener for `open`: regular files only, and no symlink in the last component is followed."""
    return open_regular(path)
