"""One run from `start` to `complete`: the work before the event loop starts, and the last event after it has ended.

A run has no module-level state, so that a standby process can fork a process for each run. Before `start` only
snapshots are taken; everything that needs the event loop or a slow import comes after it.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.conversation.initial_history import InitialHistory, load_initial_history
from agent_runtime.dev_servers.ownership import Ownership
from agent_runtime.engine import failure
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.run_folder import hold, open_run_dir, own_files, remove_empty
from agent_runtime.engine.run_log import configure_logging
from agent_runtime.engine.run_recording import RunRecording
from agent_runtime.engine.run_secrets import run_masker
from agent_runtime.engine.signals import SignalHandler
from agent_runtime.errors import ExitCode
from agent_runtime.output.event_writer import EventWriter
from agent_runtime.protocol import events

if TYPE_CHECKING:
    from agent_runtime.engine.context import RunContext
    from agent_runtime.engine.replay import Replay
    from agent_runtime.engine.result import RunResult
    from agent_runtime.engine.tracing import RunTracing

log = logging.getLogger(__name__)


class Run:
    """A run.

    Args:
        config: the request with every default resolved.
        out: descriptor of the event stream.
        environ: the runtime's own environment.
        signals: the signals that cancel the run.
        replay: a transcript to play in place of the model; None in a live run.

    Attributes:
        writer: the event stream.

    Raises:
        RequestError: the history or the transcript file cannot be used.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        out: int,
        environ: Mapping[str, str],
        signals: SignalHandler,
        replay: Replay | None = None,
    ) -> None:
        self._config, self._environ, self._signals, self._replay = config, environ, signals, replay
        self._run_dir, self._state_dir_error = open_run_dir(config)
        self._held = _held(self._run_dir)
        self._masker, self._not_masked = run_masker(config, environ)
        self._history = self._load_history()
        self._tracing: RunTracing | None = None  # created with the context
        self._recording = RunRecording(
            config,
            history=self._history,
            mask=self._masker,
            run_dir=self._run_dir,
            may_keep=replay is None and not self._state_dir_error,  # a replay has a transcript already
        )
        self.writer = self._event_writer(out)
        self._tracker = ChangeTracker(
            config.workspace,
            diff_dir=self._run_dir / "diffs",
            track_ignored=config.request.track_ignored,
            exclude=own_files(config, self._run_dir),
        )
        self._sockets = Ownership(marker=config.run_id, workspace=config.workspace)

    def execute(self, stdin: int | None, unread: bytes = b"", control: int | None = None) -> int:
        """Execute the run.

        Args:
            stdin: descriptor of the control messages; None for no control messages.
            unread: bytes that were read from it after the request.
            control: descriptor of a socket of the standby; see freeze.serve_channel.

        Returns:
            The exit status.
        """
        started = time.monotonic()
        self._signals.hold()
        if not (self._replay and self._replay.recorded_tools):
            self._tracker.begin()
            self._sockets.begin()
        self._signals.disarm()
        self.writer.put(self._config.start_event())
        self._recording.keep()
        gc.freeze()  # the objects that exist now are not garbage (see __main__)
        gc.enable()
        configure_logging(self._config.request.log_level, self._environ, self._masker)
        if self._state_dir_error:
            message = (
                f"outputs are kept in {self._run_dir}, the state directory is not writable: "
                f"{self._state_dir_error}"
            )
            self.writer.put(events.NoticeEvent(code="state_dir_unwritable", message=message))
        if self._not_masked:
            names = ", ".join(f"env.{name}" for name in self._not_masked)
            message = f"not masked in the events because they are short or common words: {names}"
            self.writer.put(events.NoticeEvent(code="not_masked", message=message))
        for message in self._history.notices:
            self.writer.put(events.NoticeEvent(code="parameter_dropped", message=message))
        from agent_runtime.engine import result

        fields: dict[str, Any] = {}
        try:
            from agent_runtime.engine.supervisor import RunSupervisor

            context = self._context()
            self._tracing = context.tracing
            supervisor = RunSupervisor(context, self._signals)
            ended = supervisor.run(stdin, unread, control)
            fields = supervisor.complete_fields()
            for notice in self._tracker.notices():
                self.writer.put(notice)
        except BaseException as error:  # the stream must end with `complete` in any case
            log.exception("the run failed")
            ended = result.failed(error, "")
        return self._end(ended, self._complete(ended, started, fields))

    def _end(self, ended: RunResult, complete: events.CompleteEvent) -> int:
        if error := ended.error_event():
            self.writer.put(error)
        self.writer.put(complete)
        self.writer.flush()
        code = ExitCode.STDOUT_CLOSED if self.writer.closed else ended.exit_code
        if recorder := self._recording.recorder:
            recorder.end(status=ended.status, exit_code=code)
        if self._tracing:
            self._tracing.finish(complete)
        if self._held is not None:
            os.close(self._held)
        remove_empty(self._run_dir)
        return code

    def _complete(self, ended: RunResult, started: float, fields: dict[str, Any]) -> events.CompleteEvent:
        return events.CompleteEvent(
            status=ended.status,
            stop_reason=ended.stop,
            output=ended.output,
            result=ended.output,
            duration_ms=round((time.monotonic() - started) * 1000),
            error=ended.error,
            **(failure.identity(self._config.request) | fields),
        )

    # -- context ----------------------------------------------------------------------------------------------

    def _context(self) -> RunContext:
        """Create the context after `start`, because it imports the library of the event loop."""
        from agent_runtime.agent.inbox import Inbox
        from agent_runtime.agent.limits import Budget
        from agent_runtime.agent.step_gate import StepGate
        from agent_runtime.engine.calls_in_flight import CallsInFlight
        from agent_runtime.engine.clock import RunClock
        from agent_runtime.engine.context import RunContext
        from agent_runtime.engine.event_sink import EventSink
        from agent_runtime.engine.stop import StopSwitch
        from agent_runtime.engine.tool_signals import ToolSignals
        from agent_runtime.engine.tracing import RunTracing
        from agent_runtime.output.heartbeat import HeartbeatTimer

        config, replay = self._config, self._replay
        stop = StopSwitch(self._on_stop)
        gate = StepGate()
        inbox = Inbox(stop.stop, gate)
        sink = EventSink(self.writer, stop, self._masker, partial=config.request.partial)
        clock = RunClock()
        return RunContext(
            config=config,
            environ=self._environ,
            run_dir=self._run_dir,
            masker=self._masker,
            sink=sink,
            stop=stop,
            gate=gate,
            calls_in_flight=CallsInFlight(),
            inbox=inbox,
            clock=clock,
            budget=Budget(config.limits, clock.elapsed),
            heartbeat=HeartbeatTimer(self.writer, sink.emit),
            history=self._history,
            tracing=RunTracing(config, self._environ, live=replay is None),
            tracker=self._tracker,
            sockets=self._sockets,
            tool_signals=ToolSignals(),
            recorder=self._recording.recorder,
            player=replay.play(config.workspace, inbox, stop) if replay else None,
            replay=replay,
        )

    def _load_history(self) -> InitialHistory:
        if self._replay:
            return self._replay.history(self._config)
        config = self._config
        return load_initial_history(
            config.request,
            workspace=config.workspace,
            state_dir=config.state_dir,
            agent=config.agent.slug,
            mask=self._masker,
        )

    def _event_writer(self, out: int) -> EventWriter:
        tee = self._recording.line if self._recording.is_wanted else None
        spill = self._run_dir / "events"
        if self._replay:
            return self._replay.event_writer(out, self._config, mask=self._masker, spill=spill, tee=tee)
        return EventWriter(out, self._config.run_id, mask=self._masker, spill=spill, tee=tee)

    def _on_stop(self, reason: str) -> None:
        self._tracker.hurry()
        if recorder := self._recording.recorder:
            recorder.control("timeout" if reason == "timeout" else "cancel", reason=reason)


def _held(run_dir: Path) -> int | None:
    """Lock the folder of the run against `retention.clean`; None on file systems without locks."""
    try:
        return hold(run_dir)
    except OSError:
        return None
