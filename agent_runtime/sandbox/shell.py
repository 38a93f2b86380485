"""The shell of a run: one bash that keeps its directory, variables and functions from call to call.

A call ends when bash has finished the command, never when a pipe closes. What it leaves running keeps its own
log (see keeper.py), can outlive the run, and is named to the model. A timeout or a cancel ends all that the
call started."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

import anyio

from agent_runtime.errors import ToolError
from agent_runtime.messages import clean_text
from agent_runtime.sandbox.bash import STOP, Bash
from agent_runtime.sandbox.capture import Capture
from agent_runtime.sandbox.family import Background, Family, mark_of
from agent_runtime.sandbox.live import Live
from agent_runtime.sandbox.output import OutputStore
from agent_runtime.sandbox.reaper import become_subreaper
from agent_runtime.sandbox.report import Ending, report
from agent_runtime.sandbox.spawning import identity
from agent_runtime.sandbox.state import State
from agent_runtime.sandbox.termination import ended, terminate_tree
from agent_runtime.tool import ToolOutput

if TYPE_CHECKING:
    from agent_runtime.sandbox.landlock import Confinement

OnOutput = Callable[[str], Awaitable[None]]

_LAST_STEPS = 0.05  # seconds for what has closed its output to end; it is not left running
_LAST_WORDS = 0.5  # seconds that a shell told to stop has for its EXIT trap


@dataclass
class _Call:
    """A command on its way."""

    number: int
    call_id: str
    tokens: int
    bash: Bash
    capture: Capture
    family: Family
    began: float = field(default_factory=time.monotonic)
    ending: Ending = field(default_factory=Ending)


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
        self._room: Path | None = None  # of pipes and of the state file; the user's own
        self._bash: Bash | None = None
        self._number = 0
        self._lock = anyio.Lock()
        self._left: list[Family] = []
        self._keepers: list[Popen[bytes]] = []
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
        live = Live(tokens, on_output) if on_output else None
        async with self._lock:
            try:
                call = await self._begin(clean_text(command), call_id, tokens)
            except OSError as error:
                raise ToolError(f"the shell cannot be started: {error}") from error
            call.ending.cancelled = True  # unless it gets to its end
            try:
                async with anyio.create_task_group() as tasks:
                    if live:
                        tasks.start_soon(live.follow, call.capture)
                    await self._until_end(call, timeout)
                    tasks.cancel_scope.cancel()
                call.ending.cancelled = False
            finally:
                with anyio.CancelScope(shield=True):
                    if call.ending.cancelled:
                        await self._stop(call)
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
            await self._close_bash(_LAST_WORDS)
            if self._room:
                self._state.forget()

    def background(self) -> list[Background]:
        """What calls left running and still runs."""
        return [process for family in self._left for process in family.background()]

    async def aclose(self, *, kill: bool) -> None:
        """End the shell, and with `kill` all that it left running; otherwise that lives on and keeps its
        logs.
        """
        with anyio.CancelScope(shield=True):
            await self._close_bash(_LAST_WORDS)
            if kill:
                await terminate_tree(lambda: [p for family in self._left for p in family.living()])
        for keeper in self._keepers:
            if keeper.poll() is None:
                keeper.returncode = 0  # it outlives us: nobody is to wait for it
        if self._room:
            shutil.rmtree(self._room, ignore_errors=True)

    async def _begin(self, command: str, call_id: str, tokens: int) -> _Call:
        self._left = [family for family in self._left if family.living()]
        self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]
        self._number += 1
        ending = Ending()
        if self._bash and self._bash.ended is not None:  # by a background process, since the last call
            ending.notes.append(await self._replaced())
        bash = self._bash or self._start()
        fifo = self._fifo()
        mark = mark_of(f"{self._name}.{self._number}")
        family = Family(bash.pid, mark, bash.mark, call_id)
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        capture = Capture(fd, lambda: self._outputs.log(call_id))
        bash.give(
            self._number, command, output=fifo, cwd=self._way_back(bash, ending), mark=mark, last=self._last
        )
        return _Call(self._number, call_id, tokens, bash, capture, family, ending=ending)

    async def _until_end(self, call: _Call, seconds: float) -> None:
        with anyio.move_on_after(seconds) as limit:
            call.ending.status = await self._status(call)
        if limit.cancelled_caught:
            call.ending.timeout = seconds
            await self._stop(call)
        else:
            await call.capture.settle(call.family.living)

    async def _status(self, call: _Call) -> int | None:
        idle = False
        while True:
            with anyio.move_on_after(1.0):
                return await call.bash.status(call.number)
            if idle and call.bash.idle:  # it went past the command without a word: `set -n`
                call.ending.notes.append("[the shell no longer executed commands (`set -n`?) and was ended]")
                call.bash.send(signal.SIGKILL)
            idle = call.bash.idle

    async def _stop(self, call: _Call) -> None:
        call.bash.send(STOP)
        await terminate_tree(call.family.living)
        if call.bash.ended is None and not await call.bash.wait(_LAST_WORDS):
            call.bash.send(signal.SIGKILL)
            await call.bash.wait(1.0)
        await terminate_tree(call.family.living, grace=0)

    async def _conclude(self, call: _Call) -> ToolOutput:
        ending = call.ending
        ending.seconds = time.monotonic() - call.began
        await call.capture.drain()
        await ended(call.family.living(), _LAST_STEPS)
        if not call.capture.ended:
            call.family.log_file = call.capture.spilled().path
            keeper = call.capture.hand_over()
            call.family.keeper = keeper.pid
            self._keepers.append(keeper)
        ending.left = call.family.background()
        if ending.left:
            self._left.append(call.family)
        await self._look_after_bash(call)
        self._last = ending.exit_code or 0
        fitted = call.capture.fit(call.tokens)
        call.capture.close()
        if call.capture.log and call.capture.log.lost:
            log = call.capture.log
            ending.lost = f"{log.lost} bytes of the output could not be written to {log.path}: {log.error}"
        return report(ending, fitted)

    async def _look_after_bash(self, call: _Call) -> None:
        if call.bash.ended is None:
            self._cwd = Path(call.bash.cwd or self._cwd)
            call.bash.save_soon()
            return
        if call.ending.timeout is None and not call.ending.cancelled:
            call.ending.status = call.bash.ended
        call.ending.notes.append(await self._replaced())

    async def _replaced(self) -> str:
        """The shell has ended: the next call starts one. What that one will have, in words."""
        since = "this command" if self._bash and self._bash.was_saved else "the last commands"
        await self._close_bash(0)
        self._cwd = self._state.directory() or self._cwd
        there = _existing(self._cwd)
        if self._state.ended:
            kept = "its directory, variables, functions and options (except `set -e`) were kept"
        elif self._state.kept:
            kept = f"its directory, variables, functions and options are as before {since}"
        else:
            kept = f"it starts in {there}; variables, functions and options are lost"
        if there != self._cwd:
            kept += f", but {self._cwd} no longer exists: it starts in {there}"
        return f"[the shell ended; the next command runs in a new one: {kept}]"

    def _start(self) -> Bash:
        if self._room is None:
            self._room = Path(tempfile.mkdtemp(prefix="agent-shell-"))
            if self._user:
                shutil.chown(self._room, self._user)
        become_subreaper()
        mark = mark_of(f"{self._name}.{self._number}.shell")
        self._bash = Bash(
            cwd=_existing(self._cwd),
            env=self._env,
            mark=mark,
            state=self._state,
            user=self._user,
            confine=self._confine,
        )
        return self._bash

    async def _close_bash(self, seconds: float) -> None:
        bash, self._bash = self._bash, None
        if bash:
            await bash.close(seconds)

    def _way_back(self, bash: Bash, ending: Ending) -> Path | None:
        # out of a directory that has been deleted
        if not bash.lost:
            return None
        gone = Path(bash.cwd)
        there = _existing(gone)
        if there != gone:
            ending.notes.append(f"[the working directory {gone} no longer exists; now in {there}]")
        return there

    def _fifo(self) -> Path:
        assert self._room
        path = self._room / str(self._number)
        os.mkfifo(path, 0o600)
        if self._user:
            shutil.chown(path, self._user)
        return path

    @property
    def _name(self) -> str:
        assert self._room
        return self._room.name

    @property
    def _state(self) -> State:
        assert self._room
        return State(self._room)


def _existing(path: Path) -> Path:
    return next((place for place in (path, *path.parents) if place.is_dir()), Path("/"))
