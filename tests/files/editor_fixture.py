"""A workspace with a file editor on it, and a record of the changes it reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.files.worker import FileWorker
from agent_runtime.search.search import Searcher


@dataclass
class EditorFixture:
    folder: Path
    files: FileEditor = field(init=False)
    search: Searcher = field(init=False)
    changes: list[tuple[list[str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = FileEditor(workspace=self.folder, on_change=self.note)
        self.search = Searcher(self.files.paths, FileWorker())

    async def note(self, paths: Sequence[Path], call_id: str) -> None:
        self.changes.append(([str(path.relative_to(self.folder)) for path in paths], call_id))

    def put(self, **content: str | bytes) -> None:
        """Create files by name, in which `_` stands for `.`."""
        for name, data in content.items():
            (self.folder / name.replace("_", ".")).write_bytes(
                data.encode() if isinstance(data, str) else data
            )

    def tree(self) -> dict[str, bytes]:
        """Return every file and its bytes, temporary files included."""
        return {
            str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()
        }

    async def replace(self, path: str, old: str, new: str, *, every: bool = False) -> str:
        return await self.files.replace(path, old, new, every=every, call_id="c")

    async def patch(self, text: str) -> str:
        return await self.files.patch(text, call_id="c")

    async def refused(self, path: str, old: str, new: str) -> str:
        with pytest.raises(ToolError) as caught:
            await self.replace(path, old, new)
        return str(caught.value)

    async def patch_refused(self, text: str) -> str:
        """Return why the patch was refused, having checked that nothing has changed."""
        before = self.tree()
        with pytest.raises(ToolError) as caught:
            await self.patch(text)
        assert self.tree() == before
        assert not self.changes
        return str(caught.value)
