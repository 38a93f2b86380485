"""A transcript in place of the model: what a run needs of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent_runtime.agent.inbox import Inbox
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.engine.replay_writer import ReplayEventWriter
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.stop import StopSwitch
from agent_runtime.errors import TranscriptError
from agent_runtime.protocol.messages import UserMessage
from agent_runtime.transcripts.player import OnControl, Player
from agent_runtime.transcripts.records import ControlRecord, Transcript
from agent_runtime.transcripts.rewrite import Change, path_change, rewrite


@dataclass(frozen=True)
class Replay:
    """How a transcript is played.

    Args:
        transcript: the recording.
        recorded_tools: take the tools' outputs from the recording, and execute nothing.
        verify: compare the events with the recorded ones.
        speed: the recorded waits are divided by it; infinite means that nothing is waited for.
        change: what else to change in the texts of the model and of the tools.
    """

    transcript: Transcript
    recorded_tools: bool
    verify: bool = False
    speed: float = math.inf
    change: Change | None = None

    def player(self, workspace: Path, on_control: OnControl) -> Player:
        """One pass through the transcript."""
        return Player(
            self.transcript,
            workspace=workspace,
            speed=self.speed,
            change=self.change,
            on_control=on_control,
        )

    def event_writer(
        self,
        fd: int,
        config: RunConfig,
        *,
        mask: Callable[[str], str],
        spill: Path,
        tee: Callable[[str], None] | None,
    ) -> ReplayEventWriter:
        """The event stream of the replay."""
        return ReplayEventWriter(
            fd,
            config.run_id,
            self.transcript,
            workspace=config.workspace,
            recorded_tools=self.recorded_tools,
            verify=self.verify,
            mask=mask,
            spill=spill,
            tee=tee,
        )

    def history(self, config: RunConfig) -> InitialHistory:
        """The history that the recorded run began with.

        Raises:
            TranscriptError: it is damaged.
        """
        recorded = self.transcript.request.resolved.get("past")
        if recorded is None:
            return InitialHistory(task=UserMessage.of(config.request.prompt or ""))
        move = path_change(self.transcript.header.workspace, str(config.workspace))
        try:
            return InitialHistory.replayed(rewrite(recorded, move))
        except (ValueError, AttributeError) as error:
            raise TranscriptError(
                f"{self.transcript.path}, line 2: `request` record: resolved.past: {error}"
            ) from error


@dataclass(frozen=True)
class ReplayedControl:
    """Applies the recorded control messages to the replayed run."""

    inbox: Inbox
    stop: StopSwitch

    def __call__(self, record: ControlRecord) -> None:
        """Deliver the message, or stop the run as it was stopped."""
        if record.action == "input":
            self.inbox.deliver(record.text or "")
        elif record.action in ("cancel", "timeout"):
            self.stop.stop("timeout" if record.action == "timeout" else record.reason or "cancelled")
