"""Keeping the old texts that are kept nowhere else, at the beginning of a run."""

from __future__ import annotations

from itertools import islice

from agent_runtime.changes.contents import Contents, read_content
from agent_runtime.changes.degradation import Degradation
from agent_runtime.changes.entries import IN_GIT, PENDING, PENDING_TAIL, Entry, pack_stat, unpack
from agent_runtime.changes.tree import Tree
from agent_runtime.git.objects import SYMLINK, blob_sizes
from agent_runtime.git.repository import Repository, names_conversion
from agent_runtime.system.byte_paths import join, read_file, under

_BATCH = 5000  # blobs whose sizes are compared at a time
_FEW = 2000  # files of which git's contents are compared by hash, not by size alone
# bytes of an LFS pointer, which has the size of no other form of a small file
_POINTER_SIZES = range(100, 200)


class OldContents:
    """Reads the files of a tree whose content git does not have, and keeps it.

    Args:
        tree: complete.
        contents: where texts are kept.
        degradation: records what cannot be read.
    """

    def __init__(self, tree: Tree, contents: Contents, degradation: Degradation) -> None:
        self._tree = tree
        self._contents = contents
        self._degradation = degradation

    def keep_pending(self) -> None:
        """Keep the contents of all entries that were not read yet."""
        for folder, _, name, packed in self._tree.entries():
            if packed.endswith(PENDING_TAIL):
                self.keep(join(folder, name), unpack(packed))

    def doubt(self, repository: Repository) -> None:
        """Read the files that may differ from their blobs, though git's index says that they are unchanged.

        A file may differ from its blob by conversions of line ends, encodings and filters, whose settings may have been
        another user's or have changed since. Nearly all of them change the size. Where one may not, or where reading
        is cheap, all files are read.
        """
        entries = self._tree.entries()
        vouched = (item for item in entries if unpack(item[3]).offset == IN_GIT)
        batch = list(islice(vouched, _BATCH))
        read_all = len(batch) <= _FEW or repository.converts or self._converts()
        while batch:
            unpacked = [unpack(packed) for _, _, _, packed in batch]
            doubts = [True] * len(batch) if read_all else self._unfaithful(unpacked)
            for (_, names, name, _), entry, doubt in zip(batch, unpacked, doubts, strict=True):
                if doubt:
                    names[name] = entry._replace(offset=PENDING).pack()
            batch = list(islice(vouched, _BATCH))

    def _converts(self) -> bool:
        """Whether an attribute file in the workspace names a filter or an encoding."""
        return any(
            names_conversion(read_file(under(self._tree.root, join(folder, b".gitattributes"))))
            for folder, names in self._tree.folders.items()
            if b".gitattributes" in names
        )

    def _unfaithful(self, entries: list[Entry]) -> list[bool]:
        sizes = blob_sizes(self._tree.root, [entry.oid for entry in entries])
        return [
            size != entry.size or size in _POINTER_SIZES for size, entry in zip(sizes, entries, strict=True)
        ]

    def keep(self, path: bytes, entry: Entry | None) -> None:
        """Keep what a file holds at the beginning, unless git has it."""
        try:
            regular = entry is not None and entry.mode != SYMLINK
            content = read_content(under(self._tree.root, path), regular=regular)
            if content is None:
                self._tree.put(path, None)
                return
            if content.error:
                self._degradation.note("unreadable", path, content.error)
            known = entry is not None and content.oid == entry.oid and content.data is not None
            offset = IN_GIT if known else self._contents.keep(content)
            self._tree.put(path, pack_stat(content.stat, content.oid, offset))
        except Exception as error:
            self._degradation.note("failed", path, error)
