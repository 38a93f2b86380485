"""What the workspace's repository knows, read without touching it and without running anything it names.

Three commands are all that is ever run: `rev-parse`, `config --list` and `cat-file`. None writes, looks at
the worktree, or calls a hook, a filter, a diff driver or a file system monitor. The index is read here, not
by git: git would refresh it. Format: git's index-format documentation, versions 2 to 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from agent_runtime.system.byte_paths import home, under

if TYPE_CHECKING:
    from subprocess import Popen

_STAT = struct.Struct(">10I")  # ctime s, ns, mtime s, ns, dev, ino, mode, uid, gid, size
_ASKED = 200  # blobs asked for at a time: few enough that neither pipe can block the other
_MASK = 0xFFFFFFFF
_SHA1 = 20  # bytes
_UNVOUCHED = bytes(60)
_BEHIND_NS = 50_000_000  # changed so shortly before the index was written: maybe after git had looked

Tracked = dict[bytes, dict[bytes, bytes]]  # folder -> name -> 60 bytes: the stat and the id, as in the index


@dataclass(frozen=True)
class Repository:
    """Where things are. `prefix` is the workspace in it, with a final slash, or empty at the top."""

    workspace: bytes
    top: bytes
    prefix: bytes
    index: bytes
    excludes: tuple[bytes, ...]  # files of ignore patterns, the strongest first
    rewrites: bool  # attributes or settings let a worktree file differ from its blob
    filters: bool  # a program of the user's may make it differ at the same size
    id_bytes: int = _SHA1  # of an object's name

    def tracked(self) -> tuple[Tracked, int]:
        """The index, below the workspace, and when it was written (ns). Empty when it cannot be read.

        Raises ValueError for an index of a form that is not known here.
        """
        try:
            with Path(os.fsdecode(self.index)).open("rb") as file:
                written = os.fstat(file.fileno()).st_mtime_ns
                return _parse_index(file.read(), self.prefix, self.id_bytes), written
        except FileNotFoundError:
            return {}, 0


class Blobs:
    """Contents by id: `git cat-file --batch`, started at the first one asked for."""

    def __init__(self, workspace: bytes) -> None:
        self._workspace = workspace
        self._process: Popen[bytes] | None = None
        self._fetched: dict[bytes, bytes | None] = {}

    def __enter__(self) -> Blobs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._end()

    def get(self, oid: bytes) -> bytes | None:
        """The content; None when the repository does not have it any more."""
        if oid not in self._fetched:
            self.fetch([oid])
        return self._fetched.get(oid)

    def fetch(self, oids: Sequence[bytes]) -> None:
        """Have these at hand, and no others: git answers many questions faster than one by one."""
        self._fetched = {}
        for at in range(0, len(oids), _ASKED):
            try:
                self._fetched |= self._ask(oids[at : at + _ASKED])
            except (OSError, ValueError):
                self._end()  # another may do better
                return

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.communicate()

    def _ask(self, oids: Sequence[bytes]) -> dict[bytes, bytes | None]:
        process = self._process = self._process or _start(self._workspace, "cat-file", "--batch")
        assert process.stdin and process.stdout
        process.stdin.write(b"".join(oid.hex().encode() + b"\n" for oid in oids))
        process.stdin.flush()
        answers: dict[bytes, bytes | None] = {}
        for oid in oids:
            answer = process.stdout.readline().split()
            if len(answer) == 3:
                data = process.stdout.read(int(answer[2]) + 1)[:-1]
                answers[oid] = data if answer[1] == b"blob" else None
        return answers


def blob_sizes(workspace: bytes, oids: list[bytes]) -> list[int]:
    """The sizes of blobs, -1 for what is not there."""
    process = _start(workspace, "cat-file", "--batch-check=%(objectsize)")
    answers, _ = process.communicate(b"".join(oid.hex().encode() + b"\n" for oid in oids))
    return [int(line) if line.isdigit() else -1 for line in answers.split(b"\n")[:-1]]


def discover(workspace: bytes) -> Repository | None:
    """The repository whose worktree the workspace is, or lies in; None when none can be read."""
    here = Path(os.fsdecode(workspace))
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return None  # saves a process
    import subprocess

    options = "--show-object-format --show-toplevel --show-prefix --git-path index --git-path info/exclude"
    try:
        answer = _git(workspace, "rev-parse", *options.split(), "--git-path", "info/attributes")
        settings = _git(workspace, "config", "-z", "--list")
    except (OSError, subprocess.SubprocessError):
        return None
    lines = answer.split(b"\n")
    if len(lines) != 7 or lines[0] not in (b"sha1", b"sha256"):
        return None
    kind, top, prefix, index, exclude, attributes, _ = lines
    config = dict(_setting(item) for item in settings.split(b"\0") if item)
    own = os.environb.get(b"XDG_CONFIG_HOME") or home(b"~/.config")
    excludes = config.get(b"core.excludesfile", own + b"/git/ignore")
    user_attributes = config.get(b"core.attributesfile", own + b"/git/attributes")
    return Repository(
        workspace=workspace,
        top=top,
        prefix=prefix,
        index=under(workspace, index),
        excludes=(under(workspace, exclude), home(excludes)),
        rewrites=config.get(b"core.autocrlf", b"false") not in (b"false", b"0", b"no", b"off")
        or any(
            Path(os.fsdecode(name)).exists()
            for name in (
                under(workspace, attributes),
                home(user_attributes),
                b"/etc/gitattributes",
            )
        ),
        filters=any(name.startswith(b"filter.") and not name.startswith(b"filter.lfs.") for name in config),
        id_bytes=_SHA1 if kind == b"sha1" else 32,
    )


def clean(raw: bytes, st: os.stat_result, written: int) -> bool:
    """Does the index vouch for this file: the same stat, from long enough before the index was written?"""
    cs, cn, ms, mn, _dev, ino, mode, _uid, _gid, size = _STAT.unpack_from(raw)
    return (
        (size, ino, ms, mn) == (st.st_size & _MASK, st.st_ino & _MASK, *_split(st.st_mtime_ns))
        and (cs, cn) == _split(st.st_ctime_ns)
        and (mode & 0o170100) == (st.st_mode & 0o170100)
        and max(st.st_mtime_ns, st.st_ctime_ns) < written - _BEHIND_NS
    )


def oid_of(raw: bytes) -> bytes:
    """The blob's id in an index entry."""
    return raw[40:60]


def _split(ns: int) -> tuple[int, int]:
    return (ns // 1_000_000_000) & _MASK, ns % 1_000_000_000


def _setting(item: bytes) -> tuple[bytes, bytes]:
    name, _, value = item.partition(b"\n")
    return name.lower(), value


def _environment() -> dict[bytes, bytes]:
    # no more than git needs to find its settings: a key in the environment of a process of ours is no secret
    env = {name: value for name, value in os.environb.items() if name in _SETTINGS}
    quiet = {
        b"GIT_OPTIONAL_LOCKS": b"0",
        b"GIT_TERMINAL_PROMPT": b"0",
        b"GIT_NO_LAZY_FETCH": b"1",
        b"LC_ALL": b"C",
    }
    return env | quiet | {b"GIT_ALLOW_PROTOCOL": b"none"}  # a partial clone must not fetch for our sake


_SETTINGS = frozenset({b"PATH", b"HOME", b"XDG_CONFIG_HOME", b"TMPDIR"})


def _command(*args: str) -> list[str]:
    return ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", *args]


def _git(workspace: bytes, *args: str) -> bytes:
    import subprocess

    done = subprocess.run(
        _command(*args), cwd=workspace, env=_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=10,
    )  # fmt: skip
    return done.stdout


def _start(workspace: bytes, *args: str) -> Popen[bytes]:
    import subprocess

    return subprocess.Popen(
        _command(*args), cwd=workspace, env=_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _parse_index(data: bytes, prefix: bytes, id_bytes: int) -> Tracked:
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("an index of an unknown form")
    tracked: Tracked = {}
    at, name = 12, b""
    for _ in range(count):
        start = at
        at += 40 + id_bytes
        at += 4 if data[at] & 0x40 else 2  # flags
        if version == 4:
            strip, at = _offset(data, at)
            end = data.index(b"\0", at)
            name = name[: len(name) - strip] + data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            name = data[at:end]
            at = start + ((end - start + 8) & ~7)
        if name.startswith(prefix) and data[start + 26] & 0xF0 in (0x80, 0xA0):
            folder, _, base = name[len(prefix) :].rpartition(b"/")
            # an id of another kind than we give says nothing: the name is known, no content vouched for
            tracked.setdefault(folder, {})[base] = (
                data[start : start + 60] if id_bytes == _SHA1 else _UNVOUCHED
            )
    return tracked


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """The variable width number of git's pack format, as index version 4 uses it."""
    byte = data[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 127)
    return value, at + 1
