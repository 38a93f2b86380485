"""What the model looks at: files as text or as images, and folders."""

from __future__ import annotations

import os
import stat

from agent_runtime.errors import ToolError
from agent_runtime.files.listing import listing
from agent_runtime.files.page import WHOLE, binary_kind, page, page_of_large
from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.safe_paths import Place, explained, refuse_processes
from agent_runtime.files.seen_files import SeenFiles
from agent_runtime.files.snapshot import MAX_SIZE, open_regular, snapshot
from agent_runtime.files.text_file import decode
from agent_runtime.images import MAX_FILE, load, looks_like_image
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.tool_output import ToolOutput


class Viewer:
    """Reads, and remembers what it has shown. Everything here blocks: it is called in threads."""

    def __init__(self, locator: PathResolver, known: SeenFiles) -> None:
        self._locator = locator
        self._known = known

    def read(self, path: str, first: int | None, last: int | None, budget: int) -> ToolOutput:
        """A text file's lines, an image, or what a folder holds."""
        with self._locator.existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            status = self._locator.status(place, path)
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
                if size <= MAX_SIZE:  # a larger one cannot be edited here
                    self._known.saw_part(place.real, fd)
            finally:
                os.close(fd)
        if shown.cut:
            return ToolOutput.of(shown.text, truncated=True, output_bytes=size, output_file=str(place.real))
        return ToolOutput.of(shown.text)

    def image(self, path: str) -> ToolOutput:
        """An image."""
        with self._locator.existing(path) as place, explained(path):
            self._locator.status(place, path)
            return self._as_image(place, path)

    def _as_image(self, place: Place, path: str) -> ToolOutput:
        now = snapshot(place, path, MAX_FILE)
        loaded = load(now.data, path)
        return ToolOutput(content=(Text(text=loaded.note), loaded.image))

    def entries(self, path: str, depth: int, budget: int) -> str:
        """What a folder holds."""
        with self._locator.existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR(self._locator.status(place, path).st_mode):
                raise ToolError(f"{path} is not a directory.")
            return listing(place.real, path, depth=depth, budget=budget)
