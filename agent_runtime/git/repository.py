"""Finding a workspace's repository and what applies in it: index, ignore files, attributes. Nothing is written."""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent_runtime.git.commands import run_git
from agent_runtime.git.index import Tracked, read_index
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.system.byte_paths import exists, home, is_folder, join, read_file, read_followed, under

_TRUE = (b"true", b"1", b"yes", b"on")
# Attributes that let a file of the worktree differ from its blob at the same size.
_CONVERTED = lazy_pattern(rb"filter\s*=\s*(?!lfs\s)|working-tree-encoding|^\[attr\]", re.M)


@dataclass(frozen=True)
class Repository:
    """A repository and its worktree.

    Attributes:
        top: the worktree's directory.
        prefix: the workspace in it, with a final slash; empty at the top.
        index: file.
        excludes: files of ignore patterns, the strongest first.
        ignore_case: ignore patterns match without regard to the case of ASCII letters.
        converts: a program or an encoding may make files differ from their blobs at the same size.
        id_bytes: of an object id.
    """

    top: bytes
    prefix: bytes
    index: bytes
    excludes: tuple[bytes, ...]
    ignore_case: bool = False
    converts: bool = False
    id_bytes: int = 20

    def tracked(self) -> tuple[Tracked, int]:
        """Return the index below the workspace, and when it was written (ns). Raises as `read_index` does."""
        return read_index(self.index, self.prefix, self.id_bytes)


def discover(workspace: bytes) -> Repository | None:
    """Return the repository whose worktree the workspace is, or is in; None when none can be read."""
    here = Path(os.fsdecode(workspace))
    if not any(os.path.lexists(folder / ".git") for folder in (here, *here.parents)):
        return None  # saves a process
    import subprocess

    options = "--show-object-format --show-toplevel --show-prefix --git-path index --git-path info/exclude"
    try:
        answer = run_git(workspace, "rev-parse", *options.split(), "--git-path", "info/attributes")
        settings = run_git(workspace, "config", "-z", "--list")
    except (OSError, subprocess.SubprocessError):
        return None
    lines = answer.split(b"\n")
    if len(lines) != 7 or lines[0] not in (b"sha1", b"sha256"):
        return None
    kind, top, prefix, index, exclude, attributes, _ = lines
    config = dict(_setting(item) for item in settings.split(b"\0") if item)
    user = os.environb.get(b"XDG_CONFIG_HOME") or home(b"~/.config")
    excludes = config.get(b"core.excludesfile", user + b"/git/ignore")
    user_attributes = config.get(b"core.attributesfile", user + b"/git/attributes")
    filters = any(name.startswith(b"filter.") and not name.startswith(b"filter.lfs.") for name in config)
    outer = [under(workspace, attributes), under(top, home(user_attributes)), b"/etc/gitattributes"]
    return Repository(
        top=top,
        prefix=prefix,
        index=under(workspace, index),
        excludes=(under(workspace, exclude), *([under(top, home(excludes))] if excludes else [])),
        ignore_case=config.get(b"core.ignorecase", b"false").lower() in _TRUE,
        converts=filters or any(map(names_conversion, map(read_followed, outer + _above(top, prefix)))),
        id_bytes=20 if kind == b"sha1" else 32,
    )


def nested(folder: bytes) -> Repository | None:
    """Return the repository whose worktree this directory is, without running git; None when it has none.

    Its index says which names are tracked. Its objects are not read.
    """
    git_dir: bytes | None = join(folder, b".git")
    if not is_folder(join(folder, b".git")):
        git_dir = gitfile_target(folder)
    if git_dir is None:
        return None
    common = under(git_dir, read_file(join(git_dir, b"commondir")).strip() or b".")
    settings = read_file(join(common, b"config")).lower()
    return Repository(
        top=folder,
        prefix=b"",
        index=join(git_dir, b"index"),
        excludes=(join(common, b"info/exclude"),),
        ignore_case=bool(re.search(rb"^\s*ignorecase\s*=\s*(true|1|yes|on)\s*$", settings, re.M)),
        id_bytes=32 if re.search(rb"^\s*objectformat\s*=\s*sha256\s*$", settings, re.M) else 20,
    )


def is_git_directory(folder: bytes) -> bool:
    """Whether a directory has the layout of `.git` or of a bare repository."""
    return exists(join(folder, b"HEAD")) and all(
        is_folder(join(folder, name)) for name in (b"objects", b"refs")
    )


def gitfile_target(folder: bytes) -> bytes | None:
    """Return the absolute path that the file `.git` in this directory names; None when it is not such a file."""
    dot_git = join(folder, b".git")
    target = b"" if is_folder(dot_git) else read_file(dot_git).removeprefix(b"gitdir:").strip()
    return os.path.normpath(under(folder, target)) if target else None


def names_conversion(attributes: bytes) -> bool:
    """Whether attributes name a filter (other than LFS) or an encoding."""
    return bool(_CONVERTED.search(attributes))


def _above(top: bytes, prefix: bytes) -> list[bytes]:
    """The attribute files in the directories above the workspace."""
    folders, files = top, []
    for part in prefix.split(b"/")[:-1]:
        files.append(join(folders, b".gitattributes"))
        folders = join(folders, part)
    return files


def _setting(item: bytes) -> tuple[bytes, bytes]:
    name, separator, value = item.partition(b"\n")
    return name.lower(), value if separator else b"true"
