"""Distinguishes signals of the caller from signals that a tool of the run has sent.

The runtime has the same user as its tools, and often a similar name: `pkill`, `kill $PPID` or a script that ends its
parent may signal it. Such a signal does not cancel the run: it is ignored, and reported to the model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from agent_runtime.agent.executor import CallInfo
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.system.process_tree import children, descendants, lineage
from agent_runtime.system.processes import Process
from agent_runtime.system.signals import name_of, of_another_run

_MOST = 5  # senders that are named


class ToolSignals:
    """A CallObserver that reports signals which tools sent to the runtime in the result of the call.

    Must be created before any tool runs: processes that exist then were not started by tools.
    """

    wants_output = False

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._marker = Process.own().marker
        self._earlier = set(descendants(self._pid))
        self._running: set[str] = set()  # ids of calls
        self._ignored: list[tuple[str, str]] = []  # sender and signal

    def ignores(self, number: int, pid: int) -> bool:
        """Return whether a tool has sent this signal, and keep it for the result of the call. Thread-safe.

        Args:
            number: the number of the signal.
            pid: the sender as the kernel reports it; 0 for the kernel itself (Ctrl-C at a terminal) and for senders
                outside the PID namespace; below 0 when it was not reported.

        A sender that has already exited was a short-lived program like `pkill`. It counts as a tool's if a tool is
        running: callers usually outlive the signals that they send.
        """
        process = Process.of(pid)
        command = process.command if process else ""  # read at once: the process may exit
        if not self._is_tools(pid, process):
            return False
        sender = (f"pid {pid}" if pid > 0 else "a tool") + (f" ({command[:100]})" if command else "")
        self._ignored.append((sender, name_of(number)))
        return True

    async def before(self, info: CallInfo) -> None:
        """Remember that the call is running."""
        self._running.add(info.call.id)

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Add a note about the signals since the last call to the output."""
        self._running.discard(info.call.id)
        ignored, self._ignored = self._ignored, []
        if not ignored:
            return output
        text = (
            f"[the program that runs these tools (pid {self._pid}) was sent {_listed(ignored)}, and "
            "ignored it. It must keep running: end other processes by their own pid]"
        )
        return replace(output, content=(*output.content, Text(text=text)))

    def _is_tools(self, pid: int, sender: Process | None) -> bool:
        if pid in (0, self._pid):
            return False
        if sender is None:
            return self._tools_run()
        if of_another_run(sender, self._marker):  # of this run, or of another one of the same user
            return True
        ancestors = list(lineage(sender))
        own = next((at for at, process in enumerate(ancestors) if process.pid == self._pid), None)
        if not own:
            # if it has exited by now, not everything could be read
            return not sender.lives and self._tools_run()
        below = ancestors[:own]
        return self._earlier.isdisjoint(below) and self._is_tool(below[-1])

    def _tools_run(self) -> bool:
        tools = [
            child for child in children(self._pid) if child not in self._earlier and self._is_tool(child)
        ]
        idle_shell = 1
        return bool(self._running) or sum(1 + len(descendants(tool.pid)) for tool in tools) > idle_shell

    def _is_tool(self, child: Process) -> bool:
        # processes that the runtime starts for itself stay in its session
        return child.session != os.getsid(0)


def _listed(ignored: Sequence[tuple[str, str]]) -> str:
    by_sender: dict[str, dict[str, None]] = {}
    for sender, name in ignored:
        by_sender.setdefault(sender, {})[name] = None
    listed = [f"{', '.join(names)} from {sender}" for sender, names in by_sender.items()]
    more = [f"others from {len(listed) - _MOST} more processes"] if len(listed) > _MOST else []
    return "; ".join([*listed[:_MOST], *more])
