"""Runs blocking file work in threads that can be abandoned, with the rights of the user of the tools.

Each piece of work gets a thread of its own, since a thread that took another user's rights keeps them. It is a
daemon thread: neither the end of a call nor that of the process waits for it.
"""

from __future__ import annotations

import asyncio
import codecs
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.images import LONG_EDGE, load
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.system.credentials import FileCredentials

T = TypeVar("T")
_GRACE = 1.5  # seconds that a cancelled call waits for a change of files that has begun


class FileWorker:
    """Threads for file work.

    Args:
        user: whose rights on files the threads have; None: those of this process.

    Raises:
        KeyError: there is no such user.
    """

    def __init__(self, user: str | None = None) -> None:
        credentials = FileCredentials.of(user) if user else None
        self.credentials = None if credentials is None or credentials.are_ours else credentials
        self._preparing = threading.Lock()
        self._prepared = False

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, or raise what it raises; ToolError when the user's rights cannot be taken.

        A cancelled caller does not wait: the thread is left to end by itself. So the work must not change files.
        """
        return await self._start(work)

    async def commit(self, work: Callable[[threading.Event], T]) -> T:
        """Return the result of `work`, which changes files and ends early once the event is set.

        When the caller is cancelled the event is set, and the work has 1.5 s to end. If it succeeds all the same, its
        result is returned, so that the change can be reported.
        """
        cancelled = threading.Event()
        done = self._start(partial(work, cancelled))
        try:
            await asyncio.wait([done])
        except anyio.get_cancelled_exc_class():
            cancelled.set()
            with anyio.move_on_after(_GRACE, shield=True):
                await asyncio.wait([done])
            if not done.done() or done.exception():
                raise
        return done.result()

    def _take_rights(self) -> None:
        if self.credentials:
            with self._preparing:
                if not self._prepared:
                    _import_all()
                self._prepared = True
            try:
                self.credentials.assume()
            except OSError as reason:
                raise ToolError(f"Files cannot be used as another user here: {reason}") from reason

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def finish(error: BaseException | None, result: list[T]) -> None:
            if future.done():
                return  # the caller was cancelled
            if error:
                future.set_exception(error)
            else:
                future.set_result(result[0])

        def body() -> None:
            error: BaseException | None = None
            result: list[T] = []
            try:
                self._take_rights()
                result.append(work())
            except BaseException as caught:
                error = caught
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, error, result)

        threading.Thread(target=body, name="files", daemon=True).start()
        return future


def _import_all() -> None:
    """Import what file work imports when it is first needed: codecs, Pillow and its plugins, models.

    The user of the tools may not be able to read this installation, and an import that fails in a thread of that user
    can make later ones fail in all threads.
    """
    from PIL import Image as Pillow

    for codec in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "latin-1", "cp1252"):
        codecs.lookup(codec)
    Pillow.init()
    for kind, mode, size in (
        *((kind, "RGB", 2) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM")),
        ("JPEG", "CMYK", 2),
        ("PNG", "I;16", LONG_EDGE + 1),
        ("PNG", "P", LONG_EDGE + 1),
    ):
        data = io.BytesIO()
        with suppress(OSError, KeyError, ToolError):  # Pillow may be built without a format
            Pillow.new(mode, (size, 2)).save(data, kind)
            loaded = load(data.getvalue(), "")
            ToolOutput(content=(Text(text=loaded.note), loaded.image))
