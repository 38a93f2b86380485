"""The names that git tracks in the workspace's repositories, read again when an index changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator

from agent_runtime.git.index import INDEX_ERRORS, Tracked
from agent_runtime.git.repository import Repository, nested
from agent_runtime.system.byte_paths import under

log = logging.getLogger(__name__)

_Stat = tuple[int, int, int]


class Indexes:
    """Reads the index of the repository that the workspace is in, and those of the repositories in it.

    Args:
        root: the workspace.
        repository: the one that the workspace is (in), if any.
    """

    def __init__(self, root: bytes, repository: Repository | None) -> None:
        self._root = root
        self._repository = repository
        self._seen: dict[bytes, _Stat] = {}  # of the index of each repository, by its folder

    def first(self) -> tuple[Tracked, int]:
        """Return what the outer index holds, and when it was written (ns)."""
        if self._repository is None:
            return {}, 0
        self._seen[b""] = _stat(self._repository.index)
        return _read(self._repository)

    @property
    def is_outer_current(self) -> bool:
        """Whether the outer index has not changed since it was read."""
        return self._repository is None or self._seen.get(b"") == _stat(self._repository.index)

    def changed(self, folders: Iterable[bytes]) -> Iterator[tuple[bytes, Tracked]]:
        """Yield (folder, its tracked names) of every repository whose index was not read in its present form.

        Args:
            folders: in which a repository begins, besides the outer one.
        """
        for folder in (b"", *sorted(folders)):
            repository = nested(under(self._root, folder)) if folder else self._repository
            if repository is None:
                continue
            stat = _stat(repository.index)
            if self._seen.get(folder) != stat:
                self._seen[folder] = stat
                yield folder, _read(repository)[0]


def _read(repository: Repository) -> tuple[Tracked, int]:
    try:
        return repository.tracked()
    except INDEX_ERRORS as error:
        log.warning("git's index could not be read (%s): the contents of all files are kept", error)
        return {}, 0


def _stat(file: bytes) -> _Stat:
    try:
        st = os.stat(file)  # noqa: PTH116 -- after every call
    except OSError:
        return 0, 0, 0
    return st.st_mtime_ns, st.st_size, st.st_ino
