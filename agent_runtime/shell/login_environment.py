"""Reads the variables that the login files of the image set: /etc/profile, ~/.bash_profile, ~/.bashrc.

Images for coding tasks set up their toolchains there (nvm, conda, rustup, sdkman). The files are read once for each
run, by a login shell that is not interactive (`bash -lc`), and commands get what they add: variables that were not
set before, and further entries of PATH and the like, behind the inherited ones. The shells that run commands read no
start-up files. Aliases and functions are not taken over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

import anyio

from agent_runtime.lazy import lazy_pattern
from agent_runtime.shell.call_processes import marker_of
from agent_runtime.shell.environment import is_key, visible_variables
from agent_runtime.system import processes
from agent_runtime.system.exec_limits import is_settable
from agent_runtime.system.process_tree import children, descendants
from agent_runtime.system.processes import Process
from agent_runtime.system.spawn import spawn
from agent_runtime.system.terminate import ready, terminate

if TYPE_CHECKING:
    from agent_runtime.system.landlock import Confinement

SWITCH = "AGENT_RUNTIME_LOGIN_FILES"  # `0` in the runtime's environment: do not read them
READ_SECONDS = 1.0  # from the start of the run; a model answers later
_END_SECONDS = 1.0  # for what the files have started to end by itself: `pyenv init` holds a lock
_END = b"\0AGENT_RUNTIME_END\0"
_LARGEST = 1 << 20  # bytes
_MARKER = "login"
# Of the login shell itself, or of what it started and is ended with it.
_NOT_KEPT = lazy_pattern(
    r"_|PWD|OLDPWD|SHLVL|PS\d|PROMPT_COMMAND|HIST\w*|LINES|COLUMNS|MAIL|BASH_\w+.*|SSH_AUTH_SOCK|SSH_AGENT_PID|TMUX.*"
    r"|DISPLAY|GPG_TTY|DBUS_\w+"
)


class LoginEnvironment:
    """Reads the login files when it is asked for the first time.

    Args:
        base: the variables of the tools.
        fixed: names of variables that the request sets: they stay as they are.
        hidden: names of variables that tools must not see.
        user: whom the tools run as.
        confine: where the tools may write.
    """

    def __init__(
        self,
        base: Mapping[str, str],
        *,
        fixed: Collection[str],
        hidden: Collection[str],
        user: str | None,
        confine: Confinement | None,
    ) -> None:
        self._base, self._fixed, self._hidden = dict(base), fixed, hidden
        self._user, self._confine = user, confine
        self._lock = anyio.Lock(fast_acquire=True)
        self._variables: Mapping[str, str] | None = None

    async def variables(self) -> Mapping[str, str]:
        """The variables of the tools with what the login files add; those alone when the files take too long."""
        async with self._lock:
            if self._variables is None:
                self._variables = merged(self._base, await self._read(), self._fixed, self._hidden)
        return self._variables

    async def _read(self) -> dict[str, str]:
        output, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(written, True)
        try:
            shell = self._start(written)
        except OSError:
            os.close(output)
            return {}
        finally:
            os.close(written)
        data = b""
        try:
            with anyio.move_on_after(READ_SECONDS):
                while not data.endswith(_END) and len(data) < _LARGEST:
                    await ready(output)
                    piece = os.read(output, 1 << 16)
                    if not piece:
                        break
                    data += piece
        finally:
            os.close(output)
            with anyio.CancelScope(shield=True):
                await terminate(lambda: _started_by(shell), grace=_END_SECONDS)
            shell.poll()
        return _parsed(data.removesuffix(_END)) if data.endswith(_END) else {}

    def _start(self, written: int) -> Popen[bytes]:
        home = self._base.get("HOME", "/")
        with Path(os.devnull).open("r+b", buffering=0) as null:
            end = _END.decode().replace("\0", "\\0")
            return spawn(
                [
                    "bash",
                    "-l",
                    "-c",
                    f"/usr/bin/env -0 >&{written}; \\builtin printf '{end}' >&{written}",
                ],
                cwd=home if Path(home).is_dir() else "/",
                env={**self._base, processes.MARKER: marker_of(_MARKER)},
                stdin=null.fileno(),
                stdout=null.fileno(),
                stderr=null.fileno(),
                pass_fds=[written],
                user=self._user,
                confine=self._confine,
            )


def merged(
    base: Mapping[str, str], login: Mapping[str, str], fixed: Collection[str], hidden: Collection[str]
) -> dict[str, str]:
    """`base` with what a login shell adds to it: new variables, and entries of lists of folders, behind its own."""
    result = dict(base)
    for name, value in visible_variables(login, hidden).items():
        if name in fixed or _NOT_KEPT.fullmatch(name) or is_key(name, hidden):
            continue
        if name not in base:
            result[name] = value
        elif name.endswith("PATH"):
            entries = base[name].split(":")
            added = [entry for entry in dict.fromkeys(value.split(":")) if entry and entry not in entries]
            result[name] = ":".join([*entries, *added])
    return {name: value for name, value in result.items() if is_settable(name, value)}


def _parsed(data: bytes) -> dict[str, str]:
    entries = (os.fsdecode(entry).partition("=") for entry in data.split(b"\0"))
    return {name: value for name, equals, value in entries if equals}


def _started_by(shell: Popen[bytes]) -> list[Process]:
    own = Process.of(shell.pid) if shell.poll() is None else None
    found = [own] if own else []
    found += descendants(shell.pid)
    with contextlib.suppress(OSError):
        adopted = [child for child in children(os.getpid()) if child.marker == marker_of(_MARKER)]
        found += [child for child in adopted if not child.gone and child not in found]
    return found
