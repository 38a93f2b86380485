"""The script that a shell reads: what it executes first, and how a command is wrapped; see bash_process."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from pathlib import Path

from agent_runtime.shell.shell_state import ShellState, restore, save_unless_long
from agent_runtime.system import processes

STOP = signal.SIGRTMAX
_GROUP_SIGNALS = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM")
_STATUS = "__agent_status"  # a function that sets `$?` without a fork
# `cmd & cmd & wait` waits for the jobs of this call, not for the servers of earlier ones, whose pids are in FILE
# with the `$!` from before the call. When all jobs of this call have ended there is nothing to wait for.
_WAIT = """wait() {
  if (( $# || BASH_SUBSHELL )) || [[ ! -s FILE ]]; then \\builtin wait "$@"; \\builtin return; fi
  \\builtin local IFS=$' \\t\\n' pid is_last earlier= last= own=
  while \\builtin read -r pid is_last; do
    if [[ $is_last ]]; then last=${pid#-}; else earlier+=" $pid "; fi
  done <FILE
  for pid in $(\\builtin jobs -p); do [[ $earlier == *" $pid "* ]] || own+=" $pid"; done
  if [[ $own ]]; then \\builtin wait $own || \\builtin :
  elif [[ ${!-} == "$last" ]]; then \\builtin wait; fi
}"""


def command_script(
    number: int,
    command: str,
    *,
    output: Path,
    cwd: Path | None,
    marker: str,
    last: int,
    jobs: Path,
    report: int,
    is_traced: bool,
) -> str:
    """Return the lines that execute one command; see BashProcess.give for the first parameters.

    Args:
        jobs: the file for the pids of the jobs of earlier commands.
        report: descriptor that the end of the command is reported to.
        is_traced: whether `set -x` is on.
    """
    jobs_file = shlex.quote(str(jobs))
    lines = [
        f"{processes.MARKER}={shlex.quote(marker)}",
        f"\\builtin jobs -rp >|{jobs_file}; "
        f"[[ ! -s {jobs_file} ]] || \\builtin printf -- '-%s last\\n' \"${{!-}}\" >>{jobs_file}",
        "\\builtin set -m +x" if is_traced else "\\builtin set -m",
    ]
    if cwd is not None:
        lines.append(f"\\builtin cd -- {shlex.quote(str(cwd))}")
    if is_traced:  # the line that evaluates it is not traced (its `$?` is 0)
        command = f"\\builtin set -x\n{command}"
    evaluated = f"\\builtin eval {shlex.quote(command)}"
    if last:  # not `;`: `set -e` would end the shell here
        function = f"{_STATUS}() {{ \\builtin unset -f {_STATUS}; \\builtin return {last}; }}"
        evaluated = f"{function}; {_STATUS} || {evaluated}"
    lines += [
        f"{{ {evaluated}\n}} </dev/null >|{shlex.quote(str(output))} 2>&1 {report}>&-",
        f'\\builtin printf \'{number} %s %s\\n\' "$?" "${{-//[!rx]/}}" >&{report}',
    ]
    return "\n".join(lines) + "\n"


def exports(variables: Mapping[str, str]) -> str:
    """Return the lines that set variables of the environment."""
    return "".join(f"\\builtin export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def prologue(state: ShellState, cwd: Path) -> str:
    """Return what a shell executes first: it restores the saved state, and sets the traps that save it again."""
    at_end = save_unless_long(state.end)
    stop = f"{at_end}; \\builtin exit 143"
    return (
        "\\builtin shopt -s expand_aliases\n"
        f"{_WAIT.replace('FILE', shlex.quote(str(state.jobs)))}\n"
        f"{restore(state.before, cwd)}\n"
        "\\builtin set +e\n"
        f"\\builtin trap {shlex.quote(stop)} {STOP.name.removeprefix('SIG')}\n"
        f"\\builtin trap {shlex.quote(at_end)} EXIT\n"
        f"{_traps()}"
        f"\\builtin export {processes.MARKER}\n"
    )


def _traps() -> str:
    """Return commands that keep a signal to the process group of the shell from ending it.

    Command and process substitutions are in that group, so `kill 0` in a script that one of them runs reaches the
    shell. A `kill` by the shell itself keeps its meaning. Children have the default actions, as after any trap.
    """
    by_itself = "[[ ${BASH_COMMAND#builtin } == kill\\ * ]]"
    return "".join(
        f"\\builtin trap '{by_itself} && {{ \\builtin trap - {name}; \\builtin kill -{name} $$; }}' {name}\n"
        for name in _GROUP_SIGNALS
    )
