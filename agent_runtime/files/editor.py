"""Reading and editing files: the engine under every tool that does either.

These rules hold for all tools. Bytes outside the change stay as they are. A change is atomic, and a patch of several
files is all or nothing. Edits of the same file are made one after the other. If a file has changed on disk since the
model last saw it through these tools, the edit is refused with the present text, which then counts as seen. A file that
the model never saw may be edited, because the old text or the context of a patch proves that it knows the file, and it
may be overwritten, as with "save as" in any editor.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.files import replace
from agent_runtime.files.atomic_write import Write, write_all
from agent_runtime.files.patch.apply import PatchApplier
from agent_runtime.files.patch.parse import parse
from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.place import Place, explained, missing
from agent_runtime.files.replace import ReplacedText
from agent_runtime.files.seen_files import SeenFiles
from agent_runtime.files.snapshot import snapshot, snapshot_link
from agent_runtime.files.text_file import TextFile
from agent_runtime.files.viewer import Viewer
from agent_runtime.files.worker import FileWorker
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.truncation import BYTES_PER_TOKEN

OnChange = Callable[[Sequence[Path], str], Awaitable[None]]
Changing = Callable[[Sequence[Path]], AbstractAsyncContextManager[None]]
_Rewrite = Callable[[TextFile, str], ReplacedText]  # takes a file's text and its path as the model sees it
_Create = Callable[[str], ReplacedText]


@dataclass(frozen=True)
class _Change:
    """What to write, if anything, and the message for the model."""

    write: Write | None
    data: bytes
    message: str


class FileEditor:
    """Files as the tools use them. All methods raise ToolError.

    Args:
        workspace: where relative paths begin.
        on_change: awaited with every path touched (both ends of a move) and the call's id, after the change
            and while no other call may edit these files.
        changing: a context that is entered with every path that may be touched, until the change is made.
        roots: confine changes to what is below these; None: anywhere. Symlinks are followed before the check.
        worker: runs the file work, with the rights of the user of the tools.
        home: what `~` stands for; None: the home directory of this process.
    """

    def __init__(
        self,
        *,
        workspace: Path,
        on_change: OnChange | None = None,
        changing: Changing | None = None,
        roots: Sequence[Path] | None = None,
        worker: FileWorker | None = None,
        home: Path | None = None,
    ) -> None:
        self.workspace = workspace
        self._on_change = on_change
        self._changing = changing
        self._worker = worker or FileWorker()
        self._seen = SeenFiles()
        self.paths = PathResolver(workspace, roots, home)
        self._viewer = Viewer(self.paths, self._seen)
        self._locks: dict[Path, anyio.Lock] = {}

    async def read(
        self, path: str, first: int | None = None, last: int | None = None, *, tokens: int
    ) -> ToolOutput:
        """Lines `first` to `last` of a text file, an image, or a directory listing, in at most `tokens`.

        Raises ToolError for anything else, and for a range that the file does not have.
        """
        return await self._worker.run(partial(self._viewer.read, path, first, last, tokens * BYTES_PER_TOKEN))

    async def image(self, path: str) -> ToolOutput:
        """An image file as an image. Raises ToolError when it is not one."""
        return await self._worker.run(partial(self._viewer.image, path))

    async def entries(self, path: str, *, depth: int, tokens: int) -> str:
        """A directory listing, `depth` levels deep. Raises ToolError when it is not a directory."""
        return await self._worker.run(partial(self._viewer.entries, path, depth, tokens * BYTES_PER_TOKEN))

    async def directory(self, path: str) -> Path:
        """Return a directory as a path without symlinks. Raises ToolError when it is not one."""
        return await self._worker.run(partial(self.paths.directory, path))

    async def replace(self, path: str, old: str, new: str, *, every: bool = False, call_id: str) -> str:
        """Replace the one occurrence of `old` by `new`, or every one; an empty `old` creates a file.

        Returns the message for the model. Raises ToolError when `old` is absent or ambiguous.
        """
        return await self._change(
            path,
            call_id,
            old,
            partial(replace.replace, old=old, new=new, every=every),
            None if old else partial(replace.create, content=new),
        )

    async def insert(self, path: str, after: int, text: str, *, call_id: str) -> str:
        """Insert lines after line `after`; 0 is before the first. Raises ToolError when there is no such line."""
        return await self._change(path, call_id, "", partial(replace.insert, after=after, text=text))

    async def write(self, path: str, content: str, *, call_id: str) -> str:
        """Create a file, or replace the content of an existing one. Raises ToolError."""
        return await self._change(
            path,
            call_id,
            content,
            partial(replace.overwrite, content=content),
            partial(replace.create, content=content),
        )

    async def delete(self, path: str, *, call_id: str) -> str:
        """Delete a file, or a symlink (not its target). Raises ToolError."""
        async with self._held([path], unfollowed=[path]) as (place,):
            change = await self._worker.run(partial(self._deletion, place))
            await self._commit(place, change, call_id)
            return change.message + place.note

    async def patch(self, text: str, *, call_id: str) -> str:
        """Apply a patch in either format: all of it or nothing. Raises ToolError."""
        files = await self._worker.run(lambda: parse(replace.sound(text, "The patch")))
        paths = [
            name for file in files for name in (file.path, file.move_to, file.creates, *file.others) if name
        ]
        links = [
            name
            for file in files
            if file.action == "delete" or file.move_to
            for name in (file.path, *file.others)
        ]
        created = [
            name
            for file in files
            for name in (file.path if file.action == "add" else None, file.move_to, file.creates)
        ]
        async with self._held(paths, created=created, unfollowed=links) as places:
            applier = PatchApplier(dict(zip(paths, places, strict=True)), self._seen, self.paths.display_path)
            writes = await self._worker.run(partial(applier.prepare, files))
            await self._worker.commit(partial(applier.commit, writes))
            await self._report(sorted(write.place.real for write in writes), call_id)
            return applier.message() + "".join(place.note for place in places)

    @asynccontextmanager
    async def _held(
        self, paths: Sequence[str], *, created: Container[str | None] = (), unfollowed: Container[str] = ()
    ) -> AsyncIterator[list[Place]]:
        """The places of these paths, which no other call may edit meanwhile: `created` are those of them that may be
        created, `unfollowed` those at which a symlink is not followed.

        Locks are taken in one order, so that no two calls wait for each other. The places are looked up again with
        the locks held: another call may have created something there.
        """

        def find() -> tuple[list[Place], ExitStack]:
            with ExitStack() as opened:
                places = [
                    opened.enter_context(self.paths.changeable(path, path not in unfollowed, path in created))
                    for path in paths
                ]
                return places, opened.pop_all()

        places, opened = await self._worker.run(find)
        with opened:
            wanted = {place.real for place in places}
        async with AsyncExitStack() as locked:
            for real in sorted(wanted):
                await locked.enter_async_context(self._locks.setdefault(real, anyio.Lock(fast_acquire=True)))
            places, opened = await self._worker.run(find)
            with opened:
                if {place.real for place in places} != wanted:
                    raise ToolError(
                        "A directory or symlink on the path was changed just now. Nothing was written."
                    )
                if self._changing:
                    await locked.enter_async_context(self._changing([place.real for place in places]))
                yield places

    async def _change(
        self, path: str, call_id: str, near: str, rewrite: _Rewrite, create: _Create | None = None
    ) -> str:
        async with self._held([path], created=[path] if create else []) as (place,):
            change = await self._worker.run(partial(self._rewritten, place, near, rewrite, create))
            await self._commit(place, change, call_id)
            return change.message + place.note

    async def _commit(self, place: Place, change: _Change, call_id: str) -> None:
        if change.write:
            with explained(self.paths.display_path(place.real)):
                await self._worker.commit(partial(write_all, [change.write]))
        if change.write and change.write.data is None:
            self._seen.forget(place.real)
        else:
            self._seen.saw(place.real, change.data)
        if change.write:
            await self._report([place.real], call_id)

    async def _report(self, paths: Sequence[Path], call_id: str) -> None:
        if self._on_change:
            # the files are changed: that must be reported even if the call was cancelled meanwhile
            with anyio.CancelScope(shield=True):
                await self._on_change(paths, call_id)

    def _rewritten(self, place: Place, near: str, rewrite: _Rewrite, create: _Create | None) -> _Change:
        display = self.paths.display_path(place.real)
        with explained(display):
            before = None if place.lstat() is None else snapshot(place, display)
        if before is None:
            if not create:
                raise missing(place, display)
            done = create(display)
            return _Change(Write(place, None, done.data), done.data, done.message)
        self._seen.refuse_stale(place.real, before, display, near)
        done = rewrite(self._seen.decode(place.real, before.data), display)
        if done.data == before.data:
            return _Change(None, done.data, done.message)
        links = before.status.st_nlink
        note = (
            f"\n[the file had {links} hard links; the other names keep the former text]" if links > 1 else ""
        )
        return _Change(Write(place, before, done.data), done.data, done.message + note)

    def _deletion(self, place: Place) -> _Change:
        display = self.paths.display_path(place.real)
        with explained(display):
            status = self.paths.status(place, display)
            before = snapshot_link(place) if stat.S_ISLNK(status.st_mode) else snapshot(place, display)
        self._seen.refuse_stale(place.real, before, display)
        return _Change(Write(place, before, None), b"", f"Deleted {display}.")
