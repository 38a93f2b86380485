"""The signals that stop the server. Signals of tools, which run as the same user, do not (`pkill agent-runtime`)."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

from agent_runtime.system.processes import Process
from agent_runtime.system.signals import (
    CATCHABLE,
    FAULTS,
    STOPPING,
    be_prompt,
    name_of,
    of_another_run,
    sender_of,
    tools_live,
)

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)


class StopSignals:
    """Receives signals with sigwaitinfo(2), which names their sender. Blocks them in this thread from now on.

    Must be created before another thread is started, which would otherwise receive them without their sender. Signals
    that the parent made this program ignore, as nohup does, stay ignored.
    """

    def __init__(self) -> None:
        self._numbers = frozenset(
            number for number in CATCHABLE - FAULTS - STOPPING if signal.getsignal(number) != signal.SIG_IGN
        )
        self._marker = Process.own().marker
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)

    def listen(self, server: uvicorn.Server) -> None:
        """Stop the server at the first signal that comes from no tool; at a second one, without waiting for streams."""
        threading.Thread(target=self._receive, args=(server,), name="signals", daemon=True).start()

    def _receive(self, server: uvicorn.Server) -> None:
        be_prompt()
        while True:
            info = signal.sigwaitinfo(self._numbers)
            if reason := self._ignored(sender_of(info), info.si_uid):
                log.warning("ignored %s %s", name_of(info.si_signo), reason)
                continue
            server.force_exit = server.should_exit
            server.should_exit = True

    def _ignored(self, pid: int, uid: int) -> str:
        """Return why a signal is not the caller's; "" when it is, or comes from the kernel or another PID namespace.

        A sender that has exited can be a `pkill` of a tool or of the caller. It counts as a tool's while programs of
        tools are alive, as it does in a run (see engine.tool_signals), unless it had another user than the tools.
        """
        sender = Process.of(pid)
        if sender and of_another_run(sender, self._marker):
            return f"from a tool (pid {pid})"
        if sender and sender.lives:  # if it has exited by now, not everything could be read
            return ""
        if pid and uid == os.getuid() and tools_live(self._marker):
            return (
                f"from pid {pid}, which has exited and may have been a tool: programs of tools are running. "
                "To stop the server, send the signal from a program that does not exit at once, such as a shell"
            )
        return ""
