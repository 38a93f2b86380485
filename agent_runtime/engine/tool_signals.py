"""Who has sent a signal: the caller, or a tool of the run.

The runtime shares its user, and often a part of its name, with what it runs: `pkill`, `kill $PPID` or a script that
ends its parent can hit it. Such a signal is not a cancellation by the caller: it is ignored, and reported to the model.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from agent_runtime.agent.executor import CallInfo
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell.call_processes import marker_of
from agent_runtime.system.processes import Process, children, descendants, lineage


class ToolSignals:
    """Signals that tools send to the runtime; a CallObserver that names them in the result of the call.

    To be made before any tool runs: what is below this process then was started by its caller, or by itself.
    """

    wants_output = False

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._earlier = set(descendants(self._pid))
        self._running: set[str] = set()  # ids of calls
        self._ignored: list[str] = []

    def ignores(self, number: int, pid: int) -> bool:
        """Whether a tool has sent this signal; then it is kept for the result of the call. Called in any thread.

        Args:
            number: of the signal.
            pid: of the sender as the kernel gives it; 0 for the kernel itself (a terminal's Ctrl-C) and for senders
                outside of the PID namespace.

        A sender that has ended by now was a short-lived program like `pkill`. It was a tool's if a tool runs: callers
        live longer than their signal.
        """
        sender = Process.of(pid)
        command = sender.command if sender else ""  # read at once: it may end
        if not self._is_tools(pid, sender):
            return False
        name = signal.Signals(number).name
        self._ignored.append(f"{name} from pid {pid}" + (f" ({command[:100]})" if command else ""))
        return True

    async def before(self, info: CallInfo) -> None:
        """Note that the call runs."""
        self._running.add(info.call.id)

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Nothing."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Add the signals since the last call."""
        self._running.discard(info.call.id)
        ignored, self._ignored = self._ignored, []
        if not ignored:
            return output
        text = (
            f"[the program that runs these tools (pid {self._pid}) was sent {', '.join(dict.fromkeys(ignored))}, and "
            "ignored it. It has to go on: end other processes by their own pid]"
        )
        return replace(output, content=(*output.content, Text(text=text)))

    def _is_tools(self, pid: int, sender: Process | None) -> bool:
        if pid in (0, self._pid):
            return False
        if sender is None:
            return self._tools_run()
        if (sender.marker or "").startswith(marker_of("")):
            return True
        ancestors = lineage(sender)
        own = next((at for at, process in enumerate(ancestors) if process.pid == self._pid), None)
        if not own:
            return False
        below = ancestors[:own]
        return self._earlier.isdisjoint(below) and self._is_tool(below[-1])

    def _tools_run(self) -> bool:
        tools = [
            child for child in children(self._pid) if child not in self._earlier and self._is_tool(child)
        ]
        idle_shell = 1
        return bool(self._running) or sum(1 + len(descendants(tool.pid)) for tool in tools) > idle_shell

    def _is_tool(self, child: Process) -> bool:
        return child.session != os.getsid(0)  # what the runtime starts for itself stays in its session
