"""What the model reads: files as text or as images, and directory listings."""

from __future__ import annotations

import os
import stat

from agent_runtime.errors import ToolError
from agent_runtime.files.listing import listing
from agent_runtime.files.page import binary_kind, page, page_of_large
from agent_runtime.files.path_resolver import PathResolver
from agent_runtime.files.place import Place, explained, refuse_processes
from agent_runtime.files.seen_files import SeenFiles
from agent_runtime.files.snapshot import MAX_SIZE, open_file, snapshot
from agent_runtime.files.text_file import LARGE
from agent_runtime.images import MAX_FILE, load, looks_like_image
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.tool_output import ToolOutput


class Viewer:
    """Reads files and records what the model has seen of them. All methods block, and raise ToolError."""

    def __init__(self, paths: PathResolver, seen: SeenFiles) -> None:
        self._paths = paths
        self._seen = seen

    def read(self, path: str, first: int | None, last: int | None, budget: int) -> ToolOutput:
        """Lines `first` to `last` of a text file, an image, or a directory listing, in at most `budget` bytes.

        Raises ToolError for anything else, and for a range that the file does not have.
        """
        with self._paths.existing(path) as place, explained(path):
            if place.spelling and first is None and last is None:
                first, last = place.spelling.lines or (None, None)
            done = self._read(place, path, first, last, budget)
            return done.with_note(place.note)

    def _read(self, place: Place, path: str, first: int | None, last: int | None, budget: int) -> ToolOutput:
        refuse_processes(place.real, path)
        status = self._paths.status(place, path)
        if stat.S_ISDIR(status.st_mode):
            if first is not None or last is not None:
                raise ToolError(f"{path} is a directory; a range of lines is for files.")
            return ToolOutput.of(listing(place.real, path, depth=2, budget=budget))
        fd = open_file(place, path)
        try:
            head = os.pread(fd, 65_536, 0)
        finally:
            os.close(fd)
        kind = binary_kind(head, status.st_size or len(head))
        if looks_like_image(head):
            try:
                return self._as_image(place, path)
            except ToolError:
                if kind:  # a text may begin like an image
                    raise
        if kind:
            raise ToolError(f"{path} is {kind} ({status.st_size:,} bytes), not text.")
        return self._text(place, path, status.st_size, first, last, budget)

    def _text(
        self, place: Place, path: str, size: int, first: int | None, last: int | None, budget: int
    ) -> ToolOutput:
        if size <= LARGE:
            now = snapshot(place, path)
            numbered = page(self._seen.decode(place.real, now.data), first, last, budget, path)
            self._seen.saw(place.real, now.data)
        else:
            fd = open_file(place, path)
            try:
                numbered = page_of_large(fd, size, first, last, budget, path)
                if size <= MAX_SIZE:  # a larger one cannot be edited here
                    self._seen.saw_part(place.real, fd)
            finally:
                os.close(fd)
        if numbered.cut:
            return ToolOutput.of(
                numbered.text, truncated=True, output_bytes=size, output_file=str(place.real)
            )
        return ToolOutput.of(numbered.text)

    def image(self, path: str) -> ToolOutput:
        """An image file as an image. Raises ToolError when it is not one."""
        with self._paths.existing(path) as place, explained(path):
            self._paths.status(place, path)
            return self._as_image(place, path)

    def _as_image(self, place: Place, path: str) -> ToolOutput:
        now = snapshot(place, path, MAX_FILE)
        loaded = load(now.data, path)
        return ToolOutput(content=(Text(text=loaded.note), loaded.image))

    def entries(self, path: str, depth: int, budget: int) -> str:
        """A directory listing in at most `budget` bytes. Raises ToolError when it is not a directory."""
        with self._paths.existing(path) as place, explained(path):
            refuse_processes(place.real, path)
            if not stat.S_ISDIR(self._paths.status(place, path).st_mode):
                raise ToolError(f"{path} is not a directory.")
            return listing(place.real, path, depth=depth, budget=budget)
