"""The options of a replay, and the objects that a run needs to play a transcript in place of its model."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from agent_runtime.agent.inbox import Inbox
from agent_runtime.agent.model import Model
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.engine.replay_writer import ReplayEventWriter
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.stop import StopSwitch
from agent_runtime.errors import TranscriptError
from agent_runtime.lazy import dataclass
from agent_runtime.output.masking import Masker
from agent_runtime.protocol import events
from agent_runtime.protocol.messages import UserMessage
from agent_runtime.transcripts.masks import Masks
from agent_runtime.transcripts.player import Player
from agent_runtime.transcripts.prompts import ComparedPrompts, canonical
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import ControlRecord, PromptRecord
from agent_runtime.transcripts.rewrite import Change, path_change, rewrite

Emit = Callable[[events.Event], Awaitable[None]]


@dataclass(frozen=True)
class Replay:
    """How a transcript is played.

    Args:
        transcript: the recording.
        recorded_tools: take the tools' outputs from the recording, and execute nothing.
        verify: compare the events with the recorded ones.
        verify_requests: a model call that differs from the recorded one is a mismatch; otherwise it is a notice.
        strict, masks: see transcripts.masks.Masks.
        keep_servers: do not end the servers that the tools started.
        speed: the recorded waiting times are divided by it; infinity disables them.
        change: further rewriting of the texts of the model and the tools.
    """

    transcript: Transcript
    recorded_tools: bool
    verify: bool = False
    verify_requests: bool = False
    strict: bool = False
    masks: Sequence[re.Pattern[str]] = ()
    keep_servers: bool = False
    speed: float = math.inf
    change: Change | None = None

    def play(self, workspace: Path, inbox: Inbox, stop: StopSwitch) -> Player:
        """Return a player for one pass through the transcript, whose control messages go to `inbox` and `stop`."""
        return Player(
            self.transcript,
            workspace=workspace,
            speed=self.speed,
            change=self.change,
            on_control=ReplayedControl(inbox, stop),
        )

    def event_writer(
        self,
        fd: int,
        config: RunConfig,
        *,
        mask: Masker,
        spill: Path,
        tee: Callable[[str], None] | None,
    ) -> ReplayEventWriter:
        """Return the writer of the replay's event stream."""
        return ReplayEventWriter(
            fd,
            config.run_id,
            self.transcript,
            workspace=config.workspace,
            masks=self._masks() if self.verify else None,
            observed=self.recorded_tools,
            mask=mask,
            spill=spill,
            tee=tee,
        )

    def compared(self, model: Model, config: RunConfig, emit: Emit) -> ComparedPrompts:
        """Wrap the model so that its calls are compared with the recorded ones. A difference is a notice.

        When nothing is executed and the workspace does not exist, system prompts are not compared, because they list
        its files.
        """

        async def report(message: str) -> None:
            await emit(events.NoticeEvent(code="request_differs", message=message))

        old = self.transcript.header.workspace
        return ComparedPrompts(
            model,
            [record for record in self.transcript.records if isinstance(record, PromptRecord)],
            canonical(self._masks(), old, str(config.workspace)),
            system=not self.recorded_tools or config.workspace.is_dir(),
            on_difference=report,
            strict=self.verify_requests,
        )

    def _masks(self) -> Masks:
        return Masks(executed=not self.recorded_tools, strict=self.strict, extra=self.masks)

    def history(self, config: RunConfig) -> InitialHistory:
        """Return the history that the recorded run started with. Raises TranscriptError when it is damaged."""
        recorded = self.transcript.request.history
        if recorded is None:
            return InitialHistory(task=UserMessage.of(config.request.prompt or ""))
        move = path_change(self.transcript.header.workspace, str(config.workspace))
        try:
            return InitialHistory.replayed(rewrite(recorded, move))
        except (ValueError, AttributeError) as error:
            raise TranscriptError(
                f"{self.transcript.path}, line 2: `request` record: resolved.history: {error}"
            ) from error


@dataclass(frozen=True)
class ReplayedControl:
    """Applies the recorded control messages to the replayed run."""

    inbox: Inbox
    stop: StopSwitch

    def __call__(self, record: ControlRecord) -> None:
        """Deliver a user message, or stop the run for the recorded reason."""
        if record.action == "input":
            self.inbox.deliver(record.text or "")
        elif record.action in ("cancel", "timeout"):
            self.stop.stop("timeout" if record.action == "timeout" else record.reason or "cancelled")
