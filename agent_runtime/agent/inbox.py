"""User input and control messages during a run: pending user messages, and whether the run is paused."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from agent_runtime.protocol.control import ControlMessage, parse_control


class Inbox:
    """The user messages that wait for the model, and the pause state of the run.

    To be created inside the event loop.

    Args:
        cancel: called with a reason when the caller cancels the run.
    """

    def __init__(self, cancel: Callable[[str], None]) -> None:
        self._texts: list[str] = []
        self._open = anyio.Event()
        self._open.set()
        self._cancel = cancel

    @property
    def pending(self) -> bool:
        """Whether a message waits to be sent to the model."""
        return bool(self._texts)

    @property
    def paused(self) -> bool:
        """Whether the run stops before its next step."""
        return not self._open.is_set()

    async def ready(self) -> None:
        """Wait until the run is not paused."""
        await self._open.wait()

    def take(self) -> list[str]:
        """Remove and return the pending messages, oldest first."""
        texts, self._texts = self._texts, []
        return texts

    def handle(self, line: bytes) -> ControlMessage:
        """Apply a control line. Raises RequestError when it is invalid; nothing has changed then."""
        control = parse_control(line)
        match control.action:
            case "pause":
                if not self.paused:
                    self._open = anyio.Event()
            case "resume":
                self._open.set()
            case "cancel":
                self._cancel("cancelled")
            case "input":
                self.deliver(control.text or "")
        return control

    def deliver(self, text: str) -> None:
        """Add a user message for the next model call."""
        self._texts.append(text)
