"""The services that tools use: interfaces of the shell, the editor, the search and the dev server watcher.

The implementations are in `shell`, `files`, `search` and `dev_servers`; tools depend on these interfaces only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.protocol.user_events import PlanItem

OnOutput = Callable[[str], Awaitable[None]]  # takes each piece of output as it arrives
SearchMode = Literal["content", "files", "count"]


class ShellService(Protocol):
    """The persistent bash of a run; see shell.shell.Shell."""

    async def run(
        self,
        command: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- a call that times out returns a result
        call_id: str,
        tokens: int,
        on_output: OnOutput | None = None,
    ) -> ToolOutput:
        """Run a command for at most `timeout` seconds. Returns at most `tokens` of its output."""
        ...

    async def restart(self) -> None:
        """Replace the shell with a new one."""
        ...


class SessionService(Protocol):
    """Interactive programs; see shell.session_manager.SessionManager."""

    async def open(
        self, command: str, *, cwd: str | None, tty: bool, seconds: float, tokens: int, call_id: str
    ) -> ToolOutput:
        """Start a program and wait at most `seconds` for it to exit."""
        ...

    async def write(self, number: int, text: str, *, seconds: float, tokens: int) -> ToolOutput:
        """Type `text` into session `number` and return what it printed. Raises ToolError for an unknown session."""
        ...


class FileService(Protocol):
    """Reading and editing files; see files.editor.FileEditor. All methods raise ToolError."""

    async def read(
        self, path: str, first: int | None = None, last: int | None = None, *, tokens: int
    ) -> ToolOutput:
        """Return lines `first` to `last` of a text file, an image, or a directory listing."""
        ...

    async def image(self, path: str) -> ToolOutput:
        """Return an image file as an image block."""
        ...

    async def entries(self, path: str, *, depth: int, tokens: int) -> str:
        """Return a directory listing, `depth` levels deep."""
        ...

    async def directory(self, path: str) -> Path:
        """Return a directory as a path without symlinks."""
        ...

    async def replace(self, path: str, old: str, new: str, *, every: bool = False, call_id: str) -> str:
        """Replace the only occurrence of `old`, or with `every` all occurrences."""
        ...

    async def insert(self, path: str, after: int, text: str, *, call_id: str) -> str:
        """Insert lines after line `after`; 0 means before the first line."""
        ...

    async def write(self, path: str, content: str, *, call_id: str) -> str:
        """Create a file, or replace the content of an existing one."""
        ...

    async def delete(self, path: str, *, call_id: str) -> str:
        """Delete a file or a symbolic link."""
        ...

    async def patch(self, text: str, *, call_id: str) -> str:
        """Apply a patch completely, or change nothing."""
        ...


class SearchService(Protocol):
    """Searching by content and by name; see search.search.Searcher. Both methods raise ToolError."""

    async def grep(
        self,
        pattern: str,
        path: str,
        *,
        glob: str | None = None,
        ignore_case: bool = False,
        literal: bool = False,
        context: int = 0,
        mode: SearchMode = "content",
        limit: int,
        tokens: int,
    ) -> str:
        """Return the lines of files that match a pattern."""
        ...

    async def files(self, pattern: str, path: str, *, limit: int, tokens: int) -> str:
        """Return the files whose path matches a glob pattern."""
        ...


class UserService(Protocol):
    """The plan for the user of the run, and questions; see engine.user.UserDialogue."""

    async def ask(self, call_id: str, text: str, options: Sequence[str], turn: int) -> ToolOutput:
        """Ask the user and return the answer, or what the model has to know when there is none."""
        ...

    async def show_plan(self, items: Sequence[PlanItem], explanation: str | None, turn: int) -> None:
        """Emit the plan."""
        ...


class DevServerService(Protocol):
    """Development servers; see dev_servers.watcher.DevServerWatcher."""

    async def locate(self, port: int | None, timeout: float, *, check: bool = False) -> str:  # noqa: ASYNC109
        """Wait for a server on a port (None for the main server), and return its addresses.

        With `check` it is sent one GET request. Raises ToolError when there is no server after `timeout` seconds.
        """
        ...
