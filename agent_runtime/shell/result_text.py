"""The texts after the output of a shell call: how the call ended, and what it left running."""

from __future__ import annotations

import signal
from dataclasses import field

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.events import Outcome
from agent_runtime.protocol.messages import NO_OUTPUT
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.call_processes import Background
from agent_runtime.shell.truncation import TruncatedOutput

_LONG_SECONDS = 10.0  # seconds; the duration of a longer call is reported
_PROCESSES_NAMED = 10


@dataclass
class Ending:
    """How a call ended.

    Args:
        status: exit status; negative for the signal that ended the shell; None when it did not end by itself.
        seconds: how long it took.
        timeout: seconds after which it was ended, if it was.
        cancelled: it was ended because the call was cancelled.
        survivors: processes that could not be ended then, and why.
        notes: about the shell: it has ended, its directory is gone.
        left: what it left running.
        lost: why a part of the output is not in its file, if it is not.
    """

    status: int | None = None
    seconds: float = 0.0
    timeout: float | None = None
    cancelled: bool = False
    survivors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: list[Background] = field(default_factory=list)
    lost: str = ""

    @property
    def exit_code(self) -> int | None:
        """Return the exit code as a shell reports it: 128 + N for signal N."""
        return self.status if self.status is None or self.status >= 0 else 128 - self.status


def report(ending: Ending, fitted: TruncatedOutput) -> ToolOutput:
    """Return the result of a call: its output, how it ended, what it left running."""
    code = ending.exit_code
    failed = code != 0
    lines = [fitted.text, *_how(ending), *ending.notes, *left_running(ending.left)]
    return ToolOutput.of(
        "\n".join(line for line in lines if line) or NO_OUTPUT,
        is_error=failed,
        outcome=_outcome(ending),
        exit_code=code,
        truncated=fitted.truncated,
        output_bytes=fitted.output_bytes if fitted.truncated else None,
        output_file=fitted.output_file,
    )


def _outcome(ending: Ending) -> Outcome:
    if ending.cancelled:
        return "cancelled"
    if ending.timeout is not None:
        return "timed_out"
    return "completed" if ending.exit_code == 0 else "failed"


def _how(ending: Ending) -> list[str]:
    took = f"{ending.seconds:.1f} s"
    lines = []
    if ending.cancelled:
        lines.append(f"[cancelled after {took}; {_ended(ending, 'its processes were ended')}]")
    elif ending.timeout is not None:
        ended = _ended(ending, "all processes of the call were ended")
        lines.append(f"[timed out after {ending.timeout:g} s; {ended}]")
    elif ending.exit_code:
        long = f", after {took}" if ending.seconds >= _LONG_SECONDS else ""
        lines.append(f"[exit code {ending.exit_code}{_signal_name(ending.exit_code)}{long}]")
    elif ending.seconds >= _LONG_SECONDS:
        lines.append(f"[took {took}]")
    if ending.lost:
        lines.append(f"[{ending.lost}]")
    return lines


def _ended(ending: Ending, all_ended: str) -> str:
    if not ending.survivors:
        return all_ended
    return f"its processes were ended, except those that could not be: {'; '.join(ending.survivors)}"


def _signal_name(code: int) -> str:
    try:
        return f" ({signal.Signals(code - 128).name})" if code > 128 else ""
    except ValueError:
        return ""


def left_running(left: list[Background]) -> list[str]:
    """The processes that a call left running, for the model, one line each."""
    if not left:
        return []
    lines = ["[left running]"]
    for process in left[:_PROCESSES_NAMED]:
        log = f"; log: {process.log_file}" if process.log_file else ""
        lines.append(f"- pid {process.pid}: {process.command[:200]}{log}")
    if len(left) > _PROCESSES_NAMED:
        lines.append(f"- and {len(left) - _PROCESSES_NAMED} more")
    return lines


def dropped(number: int, command: str) -> str:
    """Return that a session has ended and that its output is gone."""
    return f"[session {number} ({command[:100]}) has ended; its output was not asked for and is dropped]"


def report_session(
    fitted: TruncatedOutput,
    state: str,
    seconds: float,
    outcome: Outcome = "completed",
    *,
    code: int | None = None,
    notes: list[str] | None = None,
) -> ToolOutput:
    """The result of a call of a session: its state, the output since the last call, and notes. `code`: of its end."""
    lines = [f"Wall time: {seconds:.4f} seconds", state, "Output:", fitted.text, *(notes or [])]
    return ToolOutput.of(
        "\n".join(lines),
        is_error=outcome != "completed",
        outcome=outcome,
        exit_code=code,
        truncated=fitted.truncated,
        output_bytes=fitted.output_bytes if fitted.truncated else None,
        output_file=fitted.output_file,
    )
