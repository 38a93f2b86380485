"""The baseline: lists the tree at the beginning of a run, and keeps every old text."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from agent_runtime.changes.content_store import ContentStore
from agent_runtime.changes.contents import Contents
from agent_runtime.changes.deadline import Deadline
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.indexes import Indexes
from agent_runtime.changes.old_contents import OldContents
from agent_runtime.changes.scope import Scope
from agent_runtime.changes.tracked_files import TrackedFiles
from agent_runtime.changes.tree import Tree
from agent_runtime.changes.tree_walk import TreeWalk
from agent_runtime.git.repository import discover
from agent_runtime.system.byte_paths import located, real, relative
from agent_runtime.system.inotify import Inotify

log = logging.getLogger(__name__)

_KERNEL_FOLDERS = (b"/proc", b"/sys", b"/dev", b"/run")  # not to be tracked if the workspace is `/`
_TICK_NS = 10_000_000  # the times of files may be one tick behind the clock


def take_baseline(
    root: bytes,
    directory: Path,
    *,
    exclude: Sequence[bytes],
    everything: bool,
    deadline: Deadline,
    degradation: Degradation,
) -> TrackedFiles:
    """List everything and keep what must be kept.

    Args:
        root: the workspace.
        directory: where the store of contents may live.
        exclude: absolute paths that are left out, whatever `everything` says.
        everything: ignored files too.
        deadline: when later looks stop; this one does not.
        degradation: records what cannot be done.

    Raises:
        OSError: there is no place for the store of contents.
    """
    started = time.time_ns() - _TICK_NS
    repository = discover(root)
    indexes = Indexes(root, repository)
    tracked, written = indexes.first()
    left_out = frozenset(relative(real(root), located(root, path)) for path in (*exclude, *_KERNEL_FOLDERS))
    scope = Scope(root, repository, exclude=left_out, everything=everything)
    scope.add_tracked(set(tracked))
    tree = Tree(root, scope, _inotify(root))
    walk = TreeWalk(tree, deadline, degradation)
    contents = Contents(ContentStore(directory), root)
    old = OldContents(tree, contents, degradation)
    began = time.monotonic()
    walk.first_look(tracked, written)
    seconds = time.monotonic() - began
    files = TrackedFiles(
        tree, walk, contents, indexes, deadline,
        everything=everything, started=started, walk_seconds=seconds,
    )  # fmt: skip
    del tracked
    while not everything and (found := files.newly_tracked()):
        for path in found:  # of repositories in the workspace; may lead to others
            old.keep(path, None)
    if repository:
        old.doubt(repository)
    old.keep_pending()
    return files


def _inotify(root: bytes) -> Inotify | None:
    try:
        return Inotify(root)
    except OSError as error:
        log.warning("no inotify (%s): files are compared one by one", error)
        return None
