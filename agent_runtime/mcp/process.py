"""The process of a stdio server: started like a tool's, and ended with everything that it has started."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent_runtime.lazy import dataclass
from agent_runtime.shell.call_processes import marker_of
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.pipes import pipe
from agent_runtime.system.process_tree import children, descendants
from agent_runtime.system.processes import MARKER, Process
from agent_runtime.system.spawn import spawn
from agent_runtime.system.terminate import CANCEL_GRACE, ready, terminate
from agent_runtime.system.threads import run_in_thread

if TYPE_CHECKING:
    from agent_runtime.mcp.config import ServerConfig
    from agent_runtime.system.landlock import Confinement

EXIT_SECONDS = 0.5  # to exit by itself once its stdin is closed
_STDERR_BYTES = 4096  # of the end of its stderr
_PIECE = 1 << 16
_numbers = itertools.count(1)  # of the servers of this process, which may have several of one name


@dataclass(frozen=True)
class LaunchSettings:
    """How the processes of servers are started: the same as those of tools.

    Attributes:
        cwd: the workspace.
        env: the variables of the tools; a server's own are added.
        user: the user that they run as; None for that of this process.
        confine: where they may write; None for everywhere.
    """

    cwd: Path
    env: Mapping[str, str]
    user: str | None = None
    confine: Confinement | None = None


class ServerProcess:
    """A running server.

    Attributes:
        pid: its process id.
        problem: why what it prints is no longer read; empty when it is.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, server: ServerConfig, settings: LaunchSettings) -> None:
        self._marker = marker_of(f"mcp-{next(_numbers)}")
        self._group: ControlGroup | None = None
        self._stderr = b""
        self._found: set[Process] = set()  # in its tree, once it is being ended
        with ExitStack() as own, ExitStack() as passed:
            stdin, self._stdin = pipe(passed, own)
            self._stdout, stdout = pipe(own, passed)
            self._errors, errors = pipe(own, passed)
            for fd in (self._stdin, self._stdout, self._errors):
                os.set_blocking(fd, False)
            self._popen = spawn(
                server.command,
                cwd=settings.cwd / (server.cwd or ""),
                env={**settings.env, **server.env, MARKER: self._marker},
                stdin=stdin,
                stdout=stdout,
                stderr=errors,
                user=settings.user,
                confine=settings.confine,
            )
            self._pidfd = os.pidfd_open(self._popen.pid)
            own.pop_all()
        self.pid = self._popen.pid
        self.problem = ""

    async def join_group(self) -> None:
        """Put it into a control group of its own, where groups can be had, so that no child can leave its tree."""
        self._group = await run_in_thread(ControlGroup.of, self.pid, self._marker)

    async def read(self) -> bytes:
        """Return the next piece of its stdout; empty at the end."""
        while True:
            await ready(self._stdout)
            with suppress(BlockingIOError):
                return os.read(self._stdout, _PIECE)

    async def write(self, data: bytes) -> None:
        """Write to its stdin. Raises OSError when it no longer reads."""
        left = memoryview(data)
        while left:
            with suppress(BlockingIOError):
                left = left[os.write(self._stdin, left) :]
            if left:
                await ready(write=self._stdin)

    async def drain_stderr(self) -> None:
        """Read its stderr until the end, so that it never blocks; the last lines are kept for error messages."""
        while True:
            await ready(self._errors)
            with suppress(BlockingIOError):
                piece = os.read(self._errors, _PIECE)
                if not piece:
                    return
                self._stderr = (self._stderr + piece)[-_STDERR_BYTES:]

    async def watch(self, on_exit: Callable[[], None]) -> None:
        """Wait for its end, then call `on_exit`."""
        await ready(self._pidfd)
        on_exit()

    def epitaph(self) -> str:
        """Describe how it ended, with the last lines of its stderr."""
        with suppress(BlockingIOError, OSError):  # what it wrote last may not have been read yet
            while piece := os.read(self._errors, _PIECE):
                self._stderr = (self._stderr + piece)[-_STDERR_BYTES:]
        status = self._popen.poll()
        how = self.problem or "it still runs"
        if status is not None:
            how = f"it ended with exit status {status}"
        if status is not None and status < 0:
            how = f"it was ended by signal {-status}"
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()[-5:]
        said = "\n".join(line[:300] for line in lines)
        return f"{how}; its stderr ends with:\n{said}" if said else how

    async def end(self, *, at_once: bool) -> None:
        """Close its stdin, and end it and everything that it has started. Takes at most two seconds.

        Args:
            at_once: do not wait for the server to exit by itself.
        """
        with anyio.CancelScope(shield=True):
            os.close(self._stdin)
            if not at_once:
                with anyio.move_on_after(EXIT_SECONDS):
                    await ready(self._pidfd)
            await terminate(self._living, grace=CANCEL_GRACE, kill=self._group.kill if self._group else None)
            self._popen.poll()
            if self._group:
                await run_in_thread(self._group.close)
            for fd in (self._stdout, self._errors, self._pidfd):
                os.close(fd)

    def _living(self) -> list[Process]:
        """Return the living processes of its tree, also those found before that have lost their parents since."""
        self._popen.poll()  # reaps it
        own = Process.of(self.pid) if self._popen.returncode is None else None
        adopted = [child for child in children(os.getpid()) if child.marker == self._marker]
        grouped = map(Process.of, self._group.pids()) if self._group else ()
        for root in [own, *adopted, *grouped, *self._found]:
            if root and root.lives:
                self._found.update((root, *descendants(root.pid)))
        return [process for process in self._found if process.lives]
