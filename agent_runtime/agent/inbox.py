"""What the caller has said while the run goes on: pending user messages, and whether the run is paused."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from agent_runtime.protocol.control import ControlMessage, parse_control


class Inbox:
    """What the caller has asked for while the run goes on. Made inside the event loop."""

    def __init__(self, cancel: Callable[[str], None]) -> None:
        self._texts: list[str] = []
        self._open = anyio.Event()
        self._open.set()
        self._cancel = cancel

    @property
    def pending(self) -> bool:
        """Is there a message that the model has not been given?"""
        return bool(self._texts)

    @property
    def paused(self) -> bool:
        """Is the run held before its next step?"""
        return not self._open.is_set()

    async def ready(self) -> None:
        """Returns at once, or when a paused run is resumed."""
        await self._open.wait()

    def take(self) -> list[str]:
        """The messages that came in, oldest first."""
        texts, self._texts = self._texts, []
        return texts

    def handle(self, line: bytes) -> ControlMessage:
        """Do what a control line says. Raises RequestError, having changed nothing, when it says nothing known."""
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
        """A user message for the next model call."""
        self._texts.append(text)
