"""The edit engine: one set of hands under every tool that reads or writes files.

Rules it keeps, whatever the tool. Bytes outside the change stay as they are. A change is atomic, and a
patch of several files is all or nothing. Two edits of one file follow each other. A file that has changed
on disk since the model last saw it through these tools is refused with its present text, which then counts
as seen. A file that the model never saw may be edited (the old text, or a patch's context, proves that it
knows it) and overwritten, as by any editor's "save as".
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from agent_runtime.errors import ToolError
from agent_runtime.messages import Text
from agent_runtime.sandbox import rewriting, searching
from agent_runtime.sandbox.atomic import Write, open_regular, snapshot, snapshot_link, write_all
from agent_runtime.sandbox.hits import Query
from agent_runtime.sandbox.images import MAX_FILE, load, looks_like_image
from agent_runtime.sandbox.knowledge import Knowledge
from agent_runtime.sandbox.listing import listing
from agent_runtime.sandbox.numbering import visible
from agent_runtime.sandbox.patching import Patching, missing
from agent_runtime.sandbox.patchset import parse
from agent_runtime.sandbox.paths import (
    Place,
    explained,
    refuse_processes,
    refuse_special,
    same_name,
    walk,
    within,
)
from agent_runtime.sandbox.reading import WHOLE, binary_kind, page, page_of_large
from agent_runtime.sandbox.rewriting import Rewritten
from agent_runtime.sandbox.searching import Mode, Scope
from agent_runtime.sandbox.textfile import TextFile, decode
from agent_runtime.tool import ToolOutput

OnChange = Callable[[Sequence[Path], str], Awaitable[None]]
_Rewrite = Callable[[TextFile, str], Rewritten]  # a file's text, and its path as the model is told it
_Create = Callable[[str], Rewritten]


class Files:
    """Files as the tools are lent them.

    Args:
        workspace: where relative paths begin.
        on_change: awaited with every path touched (both ends of a move) and the call's id, after the change
        and while
            nobody else may edit these files.
        roots: confine changes to what lies below these; None: anywhere. Links are followed first, then
        judged.
        owner: user and group id that new files are given; None: those of this process.
    """

    def __init__(
        self,
        *,
        workspace: Path,
        on_change: OnChange | None = None,
        roots: Sequence[Path] | None = None,
        owner: tuple[int, int] | None = None,
    ) -> None:
        self.workspace = workspace
        self._base = workspace.resolve()
        self._on_change = on_change
        self._roots = None if roots is None else [root.resolve() for root in roots]
        self._owner = owner
        self._known = Knowledge()
        self._locks: dict[Path, anyio.Lock] = {}

    async def read(
        self, path: str, first: int | None = None, last: int | None = None, *, tokens: int
    ) -> ToolOutput:
        """Lines `first` to `last` of a text file, an image, or what a folder holds; in at most `tokens` of
        output.

        Raises ToolError for what is neither, and for a range that the file does not have.
        """
        return await run_sync(partial(self._read, path, first, last, tokens * 4))

    async def image(self, path: str) -> ToolOutput:
        """An image as an image. Raises ToolError when it is none."""
        return await run_sync(self._image, path)

    async def entries(self, path: str, *, depth: int, tokens: int) -> str:
        """What a folder holds, `depth` levels deep."""
        return await run_sync(partial(self._list, path, depth, tokens * 4))

    async def replace(self, path: str, old: str, new: str, *, every: bool = False, call_id: str) -> str:
        """Replace the one place of `old` by `new`, or every one. Gives the words for the model."""
        return await self._change(
            path, call_id, old, partial(rewriting.replace, old=old, new=new, every=every)
        )

    async def insert(self, path: str, after: int, text: str, *, call_id: str) -> str:
        """Insert lines after line `after`; 0 is before the first."""
        return await self._change(path, call_id, "", partial(rewriting.insert, after=after, text=text))

    async def write(self, path: str, content: str, *, call_id: str) -> str:
        """Make a file, or give one that exists new content."""
        return await self._change(
            path,
            call_id,
            content,
            partial(rewriting.overwrite, content=content),
            partial(rewriting.create, content=content),
        )

    async def delete(self, path: str, *, call_id: str) -> str:
        """Delete a file, or a link (not what it points at)."""
        async with self._held([path], follow=False) as (place,):
            await run_sync(self._delete, place)
            await self._report([place.real], call_id)
            return f"Deleted {self.shown(place.real)}."

    async def patch(self, text: str, *, call_id: str) -> str:
        """Apply a patch, in either format: all of it or nothing."""
        files = parse(rewriting.sound(text, "The patch"))
        paths = [name for file in files for name in (file.path, file.move_to, file.other) if name]
        links = [file.path for file in files if file.action == "delete"]
        async with self._held(paths, follow=True, create=True, unfollowed=links) as places:
            patching = Patching(dict(zip(paths, places, strict=True)), self._known, self.shown, self._owner)
            message, touched = await run_sync(patching.apply, files)
            await self._report(touched, call_id)
            return message

    async def grep(
        self,
        pattern: str,
        path: str,
        *,
        glob: str | None = None,
        ignore_case: bool = False,
        literal: bool = False,
        context: int = 0,
        mode: Mode = "content",
        limit: int,
        tokens: int,
    ) -> str:
        """Lines of files that match a pattern. Raises ToolError when the pattern is none."""
        query = Query(rewriting.sound(pattern, "The pattern"), ignore_case, literal, context)
        scope = Scope(await run_sync(self._searched, path), self.shown)
        return await searching.grep(query, scope, glob=glob, mode=mode, limit=limit, budget=tokens * 4)

    async def search(self, pattern: str, path: str, *, limit: int, tokens: int) -> str:
        """Files by name: a glob, or a part of the path."""
        scope = Scope(await run_sync(self._searched, path), self.shown)
        return await searching.file_search(pattern, scope, limit=limit, budget=tokens * 4)

    def shown(self, real: Path) -> str:
        """A path as the model is told it: relative inside the workspace."""
        inside = real.is_relative_to(self._base) and real != self._base
        return visible(str(real.relative_to(self._base) if inside else real))

    @asynccontextmanager
    async def _held(
        self, paths: Sequence[str], *, follow: bool, create: bool = False, unfollowed: Sequence[str] = ()
    ) -> AsyncIterator[list[Place]]:
        """The places of these paths, nobody else editing them. Locks are taken in one order.

        No two calls wait for each other.
        """
        with ExitStack() as opened:
            places = await run_sync(
                lambda: [
                    opened.enter_context(self._place(p, follow and p not in unfollowed, create))
                    for p in paths
                ]
            )
            async with AsyncExitStack() as locked:
                for real in sorted({place.real for place in places}):
                    await locked.enter_async_context(self._locks.setdefault(real, anyio.Lock()))
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
            with anyio.CancelScope(
                shield=True
            ):  # the change is made: it must be told of, also when the call is cancelled
                await self._on_change(paths, call_id)

    def _place(self, path: str, follow: bool, create: bool) -> Place:
        place = self._existing(path, follow) if not create else walk(path, self.workspace, follow=follow)
        try:
            if self._roots is not None and not within(place.real, self._roots):
                raise ToolError(f"{path} is outside of the folders that may be changed.")
            if place.dangling is not None and follow:
                raise ToolError(
                    f"{path} is a dangling symlink: nothing is at {place.dangling} ({place.real})."
                )
            if create and path.endswith("/") and place.lstat() is None:
                raise ToolError(f"{path} ends in a slash: that is a folder, not a file.")
        except BaseException:
            os.close(place.folder)
            raise
        return place

    def _existing(self, path: str, follow: bool = True) -> Place:
        """A place for reading.

        Where nothing is at the path, the one name there that looks the same to a model.
        """
        place = walk(path, self.workspace, follow=follow)
        if place.lstat() is None and not place.missing and place.dangling is None:
            with place:
                name = same_name(place.name, place.real.parent)
                return walk(
                    os.fspath(place.real.parent / (name or place.name)), self.workspace, follow=follow
                )
        return place

    def _read(self, path: str, first: int | None, last: int | None, budget: int) -> ToolOutput:
        with self._existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            status = self._status(place, path)
            if stat.S_ISDIR(status.st_mode):
                if first is not None or last is not None:
                    raise ToolError(f"{path} is a directory; a range of lines is for files.")
                return ToolOutput.of(listing(place.real, path, depth=2, budget=budget))
            fd = open_regular(place, path)
            try:
                head = os.pread(fd, 65_536, 0)
            finally:
                os.close(fd)
            if looks_like_image(head):
                return self._as_image(place, path)
            if kind := binary_kind(head, status.st_size or len(head)):
                raise ToolError(f"{path} is {kind} ({status.st_size:,} bytes), not text.")
            return self._text(place, path, status.st_size, first, last, budget)

    def _text(
        self, place: Place, path: str, size: int, first: int | None, last: int | None, budget: int
    ) -> ToolOutput:
        if size <= WHOLE:
            now = snapshot(place, path)
            shown = page(decode(now.data), first, last, budget, path)
            self._known.saw(place.real, now.data)
        else:
            fd = open_regular(place, path)
            try:
                shown = page_of_large(fd, size, first, last, budget, path)
                self._known.saw_part(place.real, os.fstat(fd))
            finally:
                os.close(fd)
        if shown.cut:
            return ToolOutput.of(shown.text, truncated=True, output_bytes=size, output_file=str(place.real))
        return ToolOutput.of(shown.text)

    def _image(self, path: str) -> ToolOutput:
        with self._existing(path) as place, explained(path):
            self._status(place, path)
            return self._as_image(place, path)

    def _as_image(self, place: Place, path: str) -> ToolOutput:
        now = snapshot(place, path, MAX_FILE)
        loaded = load(now.data, path)
        return ToolOutput(content=(Text(text=loaded.note), loaded.image))

    def _list(self, path: str, depth: int, budget: int) -> str:
        with self._existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR(self._status(place, path).st_mode):
                raise ToolError(f"{path} is not a directory.")
            return listing(place.real, path, depth=depth, budget=budget)

    def _searched(self, path: str) -> Path:
        with self._existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR((status := self._status(place, path)).st_mode):
                refuse_special(place.real, status, path)
            return place.real

    def _status(self, place: Place, path: str) -> os.stat_result:
        status = place.lstat()
        if status is None:
            raise missing(place, path)
        return status

    def _rewrite(
        self, place: Place, near: str, rewrite: _Rewrite, create: _Create | None
    ) -> tuple[str, bool]:
        shown = self.shown(place.real)
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
        shown = self.shown(place.real)
        with explained(shown):
            status = self._status(place, shown)
            before = snapshot_link(place) if stat.S_ISLNK(status.st_mode) else snapshot(place, shown)
            self._known.refuse_stale(place.real, before, shown)
            write_all([Write(place, before, None)])
            self._known.forget(place.real)
