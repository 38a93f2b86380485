"""The shell of a run: one bash that keeps its directory, variables and functions from call to call.

A call ends when bash has finished the command, never when a pipe closes. What it leaves running keeps its own
log (see keeper.py), can outlive the run, and is named to the model. A timeout or a cancel ends all that the
call started."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from agent_runtime.errors import ToolError
from agent_runtime.protocol.messages import clean_text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.background import BackgroundProcesses
from agent_runtime.shell.bash_process import BashProcess
from agent_runtime.shell.call_processes import Background, CallProcesses, mark_of
from agent_runtime.shell.command import LAST_WORDS, Command
from agent_runtime.shell.live_output import LiveOutput
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.result_text import Ending
from agent_runtime.shell.scratch_dir import ScratchDir
from agent_runtime.shell.truncation import OutputStore
from agent_runtime.system.cgroup import ControlGroup
from agent_runtime.system.spawn import identity
from agent_runtime.system.subreaper import become_subreaper

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

OnOutput = Callable[[str], Awaitable[None]]


class Shell:
    """A persistent bash, and what it left running.

    Args:
        cwd: where it starts.
        env: see environment.tool_environment.
        outputs: bounds what an output may take on the disk.
        log_dir: where outputs go that are too long for the model, and the logs of what is left running.
        user: whom the commands run as; this process must be root then.
        confine: where the commands may write, when not everywhere; the temporary folder must be part of it.
    """

    def __init__(
        self,
        *,
        cwd: Path,
        env: Mapping[str, str],
        outputs: OutputStore,
        log_dir: Path,
        user: str | None = None,
        confine: Confinement | None = None,
    ) -> None:
        self._env = dict(env) | (identity(user) if user else {})
        self._outputs = OutputStore(log_dir, spill_limit=outputs.spill_limit)
        self._user, self._confine = user, confine
        self._cwd = cwd
        self._room: ScratchDir | None = None
        self._bash: BashProcess | None = None
        self._group: ControlGroup | None = None  # calls share it until one leaves something in it
        self._has_groups = True  # until one was refused
        self._number = 0
        self._lock = anyio.Lock()
        self._left = BackgroundProcesses()
        self._printing: OutputCapture | None = None  # of the call under way
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

        When it is cancelled, what the call started is ended first; `partial` then gives its result.
        """
        if "\0" in command:
            raise ToolError("command: it has a NUL character in it, which no command line can hold")
        live = LiveOutput(tokens, on_output) if on_output else None
        async with self._lock:
            try:
                call = await self._begin(clean_text(command), call_id, tokens)
            except OSError as error:
                raise ToolError(f"the shell cannot be started: {error}") from error
            self._printing = call.capture
            call.ending.cancelled = True  # unless it gets to its end
            try:
                async with anyio.create_task_group() as tasks:
                    if live:
                        tasks.start_soon(live.follow, call.capture)
                    await call.until_end(timeout)
                    tasks.cancel_scope.cancel()
                call.ending.cancelled = False
            finally:
                self._printing = None
                with anyio.CancelScope(shield=True):
                    if call.ending.cancelled:
                        await call.stop()
                    self._partials[call_id] = await self._conclude(call)
        result = self._partials.pop(call_id)
        if live:
            await live.finish(result.text)
        return result

    def partial(self, call_id: str) -> ToolOutput | None:
        """The result of a call that was cancelled: what it had printed. Given once."""
        return self._partials.pop(call_id, None)

    async def restart(self) -> None:
        """A new shell in the directory of the old, which is ended; what it left running lives on."""
        async with self._lock:
            await self._close_bash(LAST_WORDS)
            if self._room:
                self._room.state.forget()

    def background(self) -> list[Background]:
        """What calls left running and still runs."""
        return self._left.background()

    def printed(self) -> list[str]:
        """The end of what the call under way has printed so far; nothing when there is none."""
        return [self._printing.recent()] if self._printing else []

    async def aclose(self, *, kill: bool) -> None:
        """End the shell, and with `kill` all that it left running; otherwise that lives on and keeps its logs."""
        with anyio.CancelScope(shield=True):
            if kill and self._bash:
                self._left.add(self._family(self._bash, self._bash.mark, ""))  # what its EXIT trap starts
                self._group = None
            await self._close_bash(LAST_WORDS)
            if kill:
                await self._left.end()
            await self._left.detach()
        if self._room:
            self._room.remove()

    async def _begin(self, command: str, call_id: str, tokens: int) -> Command:
        await self._left.tidy()
        self._number += 1
        ending = Ending()
        if self._bash and self._bash.ended is not None:  # by a background process, since the last call
            ending.notes.append(await self._replaced())
        if self._room is None:
            self._room = ScratchDir(self._user)
        bash = self._bash or self._start(self._room)
        mark = self._mark()
        if self._group is None and self._has_groups:
            self._group = await to_thread.run_sync(ControlGroup.of, bash.pid, mark)
            self._has_groups = self._group is not None
        family = self._family(bash, mark, call_id)
        pipe = self._room.pipe(str(self._number))
        fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        capture = OutputCapture(fd, lambda: self._outputs.log(call_id))
        bash.give(
            self._number, command, output=pipe, cwd=self._way_back(bash, ending), mark=mark, last=self._last
        )
        return Command(self._number, tokens, bash, pipe, capture, family, ending)

    def _family(self, bash: BashProcess, mark: str, call_id: str) -> CallProcesses:
        return CallProcesses(bash.pid, mark, bash.mark, call_id, self._group)

    async def _conclude(self, call: Command) -> ToolOutput:
        keeper = await call.detach()
        if keeper or call.ending.left:
            self._left.add(call.family, keeper)
            self._group = None
        await self._look_after_bash(call)
        self._last = call.ending.exit_code or 0
        return call.result()

    async def _look_after_bash(self, call: Command) -> None:
        if call.bash.ended is None:
            self._cwd = Path(call.bash.cwd or self._cwd)
            call.bash.save_soon()
            return
        if call.ending.timeout is None and not call.ending.cancelled:
            call.ending.status = call.bash.ended
        call.ending.notes.append(await self._replaced())

    async def _replaced(self) -> str:
        """The shell has ended: the next call starts one. What that one will have, in words."""
        assert self._room
        state = self._room.state
        since = "this command" if self._bash and self._bash.was_saved else "the last commands"
        await self._close_bash(0)
        self._cwd = state.directory() or self._cwd
        there = _existing(self._cwd)
        if state.ended:
            kept = "its directory, variables, functions and options (except `set -e`) were kept"
        elif state.kept:
            kept = f"its directory, variables, functions and options are as before {since}"
        else:
            kept = f"it starts in {there}; variables, functions and options are lost"
        if there != self._cwd:
            kept += f", but {self._cwd} no longer exists: it starts in {there}"
        return f"[the shell ended; the next command runs in a new one: {kept}]"

    def _start(self, room: ScratchDir) -> BashProcess:
        become_subreaper()
        self._bash = BashProcess(
            cwd=_existing(self._cwd),
            env=self._env,
            mark=f"{self._mark()}.shell",
            state=room.state,
            user=self._user,
            confine=self._confine,
        )
        return self._bash

    async def _close_bash(self, seconds: float) -> None:
        bash, self._bash = self._bash, None
        if bash:
            await bash.close(seconds)
        group, self._group = self._group, None
        if group:
            await to_thread.run_sync(group.close)

    def _way_back(self, bash: BashProcess, ending: Ending) -> Path | None:
        # out of a directory that has been deleted
        if not bash.lost:
            return None
        gone = Path(bash.cwd)
        there = _existing(gone)
        if there != gone:
            ending.notes.append(f"[the working directory {gone} no longer exists; now in {there}]")
        return there

    def _mark(self) -> str:
        assert self._room
        return mark_of(f"{self._room.name}.{self._number}")


def _existing(path: Path) -> Path:
    return next((place for place in (path, *path.parents) if place.is_dir()), Path("/"))
