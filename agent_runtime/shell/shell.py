"""The shell of a run: one bash that keeps its directory, variables and functions from call to call.

A call ends when bash has finished the command, never when a pipe closes. What it leaves running keeps its own log
(see log_writer), can outlive the run, and is named to the model. A timeout or a cancel ends all that the call started.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.background import BackgroundProcesses
from agent_runtime.shell.bash_process import BashProcess
from agent_runtime.shell.call_processes import Background, CallProcesses, marker_of
from agent_runtime.shell.command import CLOSE_SECONDS, Command
from agent_runtime.shell.live_output import LiveOutput
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.result_text import Ending
from agent_runtime.shell.scratch_dir import ScratchDir
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell_notes import cannot_start, existing, moved, new_shell, waited_for
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.subreaper import become_subreaper
from agent_runtime.system.threads import run_in_thread

OnOutput = Callable[[str], Awaitable[None]]


class Shell:
    """A persistent bash, and the processes that its calls left running.

    Args:
        settings: how commands run; `cwd` is where the first one starts.
    """

    def __init__(self, settings: ShellSettings) -> None:
        self._settings = settings
        self._cwd = settings.cwd
        self._scratch: ScratchDir | None = None
        self._bash: BashProcess | None = None
        self._group: ControlGroup | None = None  # calls share it until one leaves something in it
        self._has_groups = True  # until one was refused
        self._number = 0
        self._lock = anyio.Lock(fast_acquire=True)
        self._left = BackgroundProcesses()
        self._running: OutputCapture | None = None  # of the call under way
        self._partials: dict[str, ToolOutput] = {}
        self._last = 0  # exit status

    async def run(
        self,
        command: str,
        *,
        timeout: float,  # noqa: ASYNC109 -- at its end there is a result, not an exception
        call_id: str,
        tokens: int,
        on_output: OnOutput | None = None,
    ) -> ToolOutput:
        """Run a command; calls wait for each other.

        Args:
            command: anything bash takes, of any length.
            timeout: seconds; then all that the call started is ended, and what it printed is returned.
            call_id: names the log file.
            tokens: at most so much of the output is returned; the whole is in the log file.
            on_output: gets pieces of the result as they come; their sum is the text of the result.

        Raises ToolError when the command has a NUL character or the shell cannot be started. When the call is
        cancelled, what it started is ended first; `partial` then gives its result.
        """
        if "\0" in command:
            raise ToolError("command: expected text without NUL characters; remove them")
        live = LiveOutput(tokens, on_output) if on_output else None
        async with self._lock:
            try:
                call = await self._begin(clean_text(command), call_id, tokens, live)
            except OSError as error:
                raise ToolError(cannot_start(error)) from error
            self._running = call.capture
            call.ending.cancelled = True  # unless it gets to its end
            try:
                async with live.following(call.capture) if live else nullcontext():
                    await call.until_end(timeout)
                call.ending.cancelled = False
            finally:
                self._running = None
                with anyio.CancelScope(shield=True):
                    if call.ending.cancelled:
                        await call.stop()
                    self._partials[call_id] = await self._conclude(call)
        result = self._partials.pop(call_id)
        if live:
            await live.finish(result.text)
        return result

    async def prepare(self) -> None:
        """Read the login files and start the shell, for which the first call would otherwise wait."""
        await self._settings.prepare()
        async with self._lock:
            with suppress(OSError):  # as at the limit of processes: the first call says so
                await self._started()

    def partial(self, call_id: str) -> ToolOutput | None:
        """Return the output of a call that was cancelled; once only."""
        return self._partials.pop(call_id, None)

    async def restart(self) -> None:
        """End the shell; the next call starts one in its directory. Background processes keep running."""
        async with self._lock:
            await self._close_bash(CLOSE_SECONDS)
            if self._scratch:
                self._scratch.state.forget()

    def background(self) -> list[Background]:
        """Return the background processes of calls that are still running."""
        return self._left.background()

    def printed(self) -> list[str]:
        """Return the end of the output of the running call; empty when there is none."""
        return [self._running.recent()] if self._running else []

    async def end_background(self) -> None:
        """End the background processes of calls."""
        await self._left.end()

    async def aclose(self, *, kill: bool) -> None:
        """End the shell, and with `kill` its background processes; otherwise these keep running and writing their
        logs.
        """
        with anyio.CancelScope(shield=True):
            if kill and self._bash:
                self._left.add(
                    self._processes(self._bash, self._bash.marker, "")
                )  # what its EXIT trap starts
                self._group = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._close_bash, CLOSE_SECONDS if self._number else 0)
                if kill:
                    tasks.start_soon(self._left.end)
            if kill:
                await self._left.end(grace=0)  # what the EXIT trap has started in the meantime
            await self._left.detach()
        if self._scratch:
            self._scratch.remove()

    async def _begin(self, command: str, call_id: str, tokens: int, live: LiveOutput | None) -> Command:
        await self._left.forget_ended()
        ending = Ending()
        if self._bash and self._bash.ended is not None:  # by a background process, since the last call
            if self._number:
                ending.notes.append(await self._replaced())
            else:
                await self._close_bash(0)
        self._number += 1
        bash, scratch = await self._started()
        bash.export(self._settings.changed)
        marker = self._marker(scratch)
        processes = self._processes(bash, marker, call_id)
        pipe, fd = scratch.pipe(str(self._number))
        capture = OutputCapture(fd, lambda: self._settings.logs.log(call_id))
        bash.give(
            self._number,
            command,
            output=pipe,
            cwd=self._existing_directory(bash, ending),
            marker=marker,
            last=self._last,
        )
        return Command(self._number, tokens, bash, pipe, capture, processes, ending, live)

    def _processes(self, bash: BashProcess, marker: str, call_id: str) -> CallProcesses:
        return CallProcesses(bash.pid, marker, bash.marker, call_id, self._group)

    async def _conclude(self, call: Command) -> ToolOutput:
        await call.detach()
        if call.was_waiting and (earlier := self._left.background()):
            call.ending.notes.append(waited_for(earlier))
        if call.processes.log_writer or call.ending.left:
            self._left.add(call.processes)
            self._group = None
        await self._after_call(call)
        self._last = call.ending.exit_code or 0
        return await call.result()

    async def _after_call(self, call: Command) -> None:
        if call.bash.ended is None:
            self._cwd = Path(call.bash.cwd or self._cwd)
            call.bash.save_soon()
            return
        if call.ending.timeout is None and not call.ending.cancelled:
            call.ending.status = call.bash.ended
        call.ending.notes.append(await self._replaced())

    async def _replaced(self) -> str:
        """Note that the shell has ended, and return what the next one will have of its state, for the model."""
        assert self._scratch
        state = self._scratch.state
        since = "this command" if self._bash and self._bash.was_saved else "the last commands"
        await self._close_bash(0)
        self._cwd = state.directory() or self._cwd
        return new_shell(state, since, self._cwd)

    async def _started(self) -> tuple[BashProcess, ScratchDir]:
        """The shell, which is in a group where there are any, and its folder."""
        scratch = self._scratch = self._scratch or ScratchDir(self._settings.user)
        bash = self._bash = self._bash or await self._start(scratch)
        if self._group is None and self._has_groups:
            self._group = await run_in_thread(ControlGroup.of, bash.pid, self._marker(scratch))
            self._has_groups = self._group is not None
        return bash, scratch

    async def _start(self, scratch: ScratchDir) -> BashProcess:
        become_subreaper()
        env = await self._settings.environment()
        return BashProcess(
            cwd=existing(self._cwd),
            env=env,
            marker=f"{self._marker(scratch)}.shell",
            state=scratch.state,
            user=self._settings.user,
            confine=self._settings.confine,
        )

    async def _close_bash(self, seconds: float) -> None:
        bash, self._bash = self._bash, None
        if bash:
            await bash.close(seconds)
        group, self._group = self._group, None
        if group:
            await run_in_thread(group.close)

    def _existing_directory(self, bash: BashProcess, ending: Ending) -> Path | None:
        """Return the directory to change to when the shell's directory has been deleted; None when it has not."""
        if not bash.lost:
            return None
        deleted = Path(bash.cwd)
        found = existing(deleted)
        if found != deleted:
            ending.notes.append(moved(deleted, found))
        return found

    def _marker(self, scratch: ScratchDir) -> str:
        return marker_of(f"{scratch.name}.{self._number}")
