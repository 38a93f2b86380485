"""The context that all objects of a run share. It is complete when it is created, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.agent.inbox import Inbox
from agent_runtime.agent.limits import Budget
from agent_runtime.agent.step_gate import StepGate
from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.dev_servers.ownership import Ownership
from agent_runtime.engine.calls_in_flight import CallsInFlight
from agent_runtime.engine.clock import RunClock
from agent_runtime.engine.event_sink import EventSink
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.stop import StopSwitch
from agent_runtime.engine.tool_signals import ToolSignals
from agent_runtime.engine.tracing import RunTracing
from agent_runtime.lazy import dataclass
from agent_runtime.output.heartbeat import HeartbeatTimer
from agent_runtime.output.masking import Masker
from agent_runtime.transcripts.player import Player
from agent_runtime.transcripts.writer import Recorder

if TYPE_CHECKING:
    from agent_runtime.engine.replay import Replay  # which a live run does not need


@dataclass(frozen=True)
class RunContext:
    """The context of one run.

    Attributes:
        config: the request with every default resolved.
        environ: the runtime's own environment.
        run_dir: folder for outputs, diffs and logs of the run.
        masker: masks secrets.
        sink: emits events.
        stop: ends the run early.
        gate: lets no step begin while the run is frozen.
        calls_in_flight: returns the tool calls that are under way.
        inbox: user messages and the pause state.
        clock: measures the time since the start, without frozen time.
        budget: the limits, and how much of them is used.
        heartbeat: emits heartbeats, and knows what the run waits for.
        history: the messages before the first turn, and the thread that continues them.
        tracing: the spans of the run.
        tracker: the workspace as it was at the start.
        sockets: which listening sockets are the run's, by those that were there at the start.
        tool_signals: signals that tools sent to the runtime.
        recorder: writes the transcript; None when none is written.
        player: plays a transcript in place of the model; None in a live run.
        replay: how it is played; None in a live run.
    """

    config: RunConfig
    environ: Mapping[str, str]
    run_dir: Path
    masker: Masker
    sink: EventSink
    stop: StopSwitch
    gate: StepGate
    calls_in_flight: CallsInFlight
    inbox: Inbox
    clock: RunClock
    budget: Budget
    heartbeat: HeartbeatTimer
    history: InitialHistory
    tracing: RunTracing
    tracker: ChangeTracker
    sockets: Ownership
    tool_signals: ToolSignals
    recorder: Recorder | None
    player: Player | None
    replay: Replay | None

    @property
    def recorded_tools(self) -> bool:
        """Whether tool outputs are taken from the transcript."""
        return self.replay is not None and self.replay.recorded_tools
