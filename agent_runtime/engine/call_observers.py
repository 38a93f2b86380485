"""Observers of tool calls: a chain of several, the recorder of a transcript, and the progress of a replay."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from agent_runtime.agent.executor import CallInfo, CallObserver
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.transcripts.player import Player
from agent_runtime.transcripts.writer import Recorder

log = logging.getLogger(__name__)


class ObserverChain:
    """Combines several observers. Each receives the output that the one before it returned."""

    def __init__(self, observers: Sequence[CallObserver]) -> None:
        self._observers = tuple(observers)

    @property
    def wants_output(self) -> bool:
        """Whether any of the observers wants output."""
        return any(observer.wants_output for observer in self._observers)

    async def before(self, info: CallInfo) -> None:
        """See CallObserver. An exception of an observer fails the call, which has not run yet."""
        for observer in self._observers:
            await observer.before(info)

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """See CallObserver."""
        for observer in self._observers:
            if observer.wants_output:
                await observer.on_output(info, piece)

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """See CallObserver. An exception of an observer is only logged: the call has run and must be answered."""
        for observer in self._observers:
            try:
                output = await observer.after(info, output, seconds)
            except Exception:
                log.exception("%s failed after a call of %s", type(observer).__name__, info.call.name)
        return output


class CallRecorder:
    """Writes each call's output to the transcript."""

    wants_output = False

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def before(self, info: CallInfo) -> None:
        """Do nothing: the call itself is recorded with the model's response."""

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing: only whole outputs are recorded."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Record the output."""
        self._recorder.tool_result(info.call.id, info.call.name, output, round(seconds * 1000))
        return output


class ReplayProgress:
    """Counts the answered calls of a replay, so that recorded control messages are delivered at the same point."""

    wants_output = False

    def __init__(self, player: Player) -> None:
        self._player = player

    async def before(self, info: CallInfo) -> None:
        """Do nothing."""

    async def on_output(self, info: CallInfo, piece: str) -> None:
        """Do nothing."""

    async def after(self, info: CallInfo, output: ToolOutput, seconds: float) -> ToolOutput:
        """Count the call."""
        self._player.answered()
        return output
