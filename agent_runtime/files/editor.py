"""The edit engine: one set of hands under every tool that reads or writes files.

Rules it keeps, whatever the tool. Bytes outside the change stay as they are. A change is atomic, and a
patch of several files is all or nothing. Two edits of one file follow each other. A file that has changed
on disk since the model last saw it through these tools is refused with its present text, which then counts
as seen. A file that the model never saw may be edited (the old text, or a patch's context, proves that it
knows it) and overwritten, as by any editor's "save as".
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from agent_runtime.errors import ToolError
from agent_runtime.files import replace
from agent_runtime.files.atomic_write import Write, write_all
from agent_runtime.files.patch.apply import PatchApplier
from agent_runtime.files.patch.parse import parse
from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.replace import ReplacedText
from agent_runtime.files.safe_paths import Place, explained, missing
from agent_runtime.files.seen_files import SeenFiles
from agent_runtime.files.snapshot import snapshot, snapshot_link
from agent_runtime.files.text_file import TextFile, decode
from agent_runtime.files.viewer import Viewer
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.truncation import BYTES_PER_TOKEN

OnChange = Callable[[Sequence[Path], str], Awaitable[None]]
Changing = Callable[[Sequence[Path]], AbstractAsyncContextManager[None]]
_Rewrite = Callable[[TextFile, str], ReplacedText]  # a file's text, and its path as the model is told it
_Create = Callable[[str], ReplacedText]


class FileEditor:
    """Files as the tools are lent them.

    Args:
        workspace: where relative paths begin.
        on_change: awaited with every path touched (both ends of a move) and the call's id, after the change
            and while nobody else may edit these files.
        changing: entered with every path that may be touched, for as long as it may.
        roots: confine changes to what lies below these; None: anywhere. Links are followed, then judged.
        owner: user and group id that new files are given; None: those of this process.
    """

    def __init__(
        self,
        *,
        workspace: Path,
        on_change: OnChange | None = None,
        changing: Changing | None = None,
        roots: Sequence[Path] | None = None,
        owner: tuple[int, int] | None = None,
    ) -> None:
        self.workspace = workspace
        self._on_change = on_change
        self._changing = changing
        self._owner = owner
        self._known = SeenFiles()
        self.paths = PathResolver(workspace, roots)
        self._viewer = Viewer(self.paths, self._known)
        self._locks: dict[Path, anyio.Lock] = {}

    async def read(
        self, path: str, first: int | None = None, last: int | None = None, *, tokens: int
    ) -> ToolOutput:
        """Lines `first` to `last` of a text file, an image, or what a folder holds, in at most `tokens`.

        Raises ToolError for what is neither, and for a range that the file does not have.
        """
        return await run_sync(partial(self._viewer.read, path, first, last, tokens * BYTES_PER_TOKEN))

    async def image(self, path: str) -> ToolOutput:
        """An image as an image. Raises ToolError when it is none."""
        return await run_sync(self._viewer.image, path)

    async def entries(self, path: str, *, depth: int, tokens: int) -> str:
        """What a folder holds, `depth` levels deep."""
        return await run_sync(partial(self._viewer.entries, path, depth, tokens * BYTES_PER_TOKEN))

    async def replace(self, path: str, old: str, new: str, *, every: bool = False, call_id: str) -> str:
        """Replace the one place of `old` by `new`, or every one; without any `old` a new file is made.

        Gives the words for the model.
        """
        return await self._change(
            path,
            call_id,
            old,
            partial(replace.replace, old=old, new=new, every=every),
            None if old else partial(replace.create, content=new),
        )

    async def insert(self, path: str, after: int, text: str, *, call_id: str) -> str:
        """Insert lines after line `after`; 0 is before the first."""
        return await self._change(path, call_id, "", partial(replace.insert, after=after, text=text))

    async def write(self, path: str, content: str, *, call_id: str) -> str:
        """Make a file, or give one that exists new content."""
        return await self._change(
            path,
            call_id,
            content,
            partial(replace.overwrite, content=content),
            partial(replace.create, content=content),
        )

    async def delete(self, path: str, *, call_id: str) -> str:
        """Delete a file, or a link (not what it points at)."""
        async with self._held([path], follow=False) as (place,):
            await run_sync(self._delete, place)
            await self._report([place.real], call_id)
            return f"Deleted {self.paths.shown(place.real)}."

    async def patch(self, text: str, *, call_id: str) -> str:
        """Apply a patch, in either format: all of it or nothing."""
        files = parse(replace.sound(text, "The patch"))
        paths = [name for file in files for name in (file.path, file.move_to, file.other) if name]
        links = [file.path for file in files if file.action == "delete" or file.move_to]
        async with self._held(paths, follow=True, create=True, unfollowed=links) as places:
            patching = PatchApplier(
                dict(zip(paths, places, strict=True)), self._known, self.paths.shown, self._owner
            )
            message, touched = await run_sync(patching.apply, files)
            await self._report(touched, call_id)
            return message

    @asynccontextmanager
    async def _held(
        self, paths: Sequence[str], *, follow: bool, create: bool = False, unfollowed: Sequence[str] = ()
    ) -> AsyncIterator[list[Place]]:
        """The places of these paths, nobody else editing them.

        Locks are taken in one order, so that no two calls wait for each other. What is at the places is
        looked at with the locks held: another call may just have made it.
        """

        def find(opened: ExitStack) -> list[Place]:
            changeable = self.paths.changeable
            return [
                opened.enter_context(changeable(p, follow and p not in unfollowed, create)) for p in paths
            ]

        with ExitStack() as opened:
            wanted = {place.real for place in await run_sync(find, opened)}
        async with AsyncExitStack() as locked:
            for real in sorted(wanted):
                await locked.enter_async_context(self._locks.setdefault(real, anyio.Lock()))
            with ExitStack() as opened:
                places = await run_sync(find, opened)
                if {place.real for place in places} != wanted:
                    raise ToolError("A folder or link on the path was changed just now. Nothing was written.")
                if self._changing:
                    await locked.enter_async_context(self._changing([place.real for place in places]))
                yield places

    async def _change(
        self, path: str, call_id: str, near: str, rewrite: _Rewrite, create: _Create | None = None
    ) -> str:
        async with self._held([path], follow=True, create=create is not None) as (place,):
            message, changed = await run_sync(partial(self._rewrite, place, near, rewrite, create))
            if changed:
                await self._report([place.real], call_id)
            return message

    async def _report(self, paths: Sequence[Path], call_id: str) -> None:
        if self._on_change:
            # the change is made: it must be told of, also when the call is cancelled
            with anyio.CancelScope(shield=True):
                await self._on_change(paths, call_id)

    def _rewrite(
        self, place: Place, near: str, rewrite: _Rewrite, create: _Create | None
    ) -> tuple[str, bool]:
        shown = self.paths.shown(place.real)
        with explained(shown):
            before = None if place.lstat() is None else snapshot(place, shown)
            if before:
                self._known.refuse_stale(place.real, before, shown, near)
                done = rewrite(decode(before.data), shown)
            elif create:
                done = create(shown)
            else:
                raise missing(place, shown)
            changed = before is None or done.data != before.data
            if changed:
                write_all([Write(place, before, done.data, owner=self._owner)])
            self._known.saw(place.real, done.data)
            links = before.status.st_nlink if before else 1
        note = (
            f"\n[the file had {links} hard links; the other names keep the former text]"
            if changed and links > 1
            else ""
        )
        return done.message + note, changed

    def _delete(self, place: Place) -> None:
        shown = self.paths.shown(place.real)
        with explained(shown):
            status = self.paths.status(place, shown)
            before = snapshot_link(place) if stat.S_ISLNK(status.st_mode) else snapshot(place, shown)
            self._known.refuse_stale(place.real, before, shown)
            write_all([Write(place, before, None)])
            self._known.forget(place.real)
