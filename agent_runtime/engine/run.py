"""One run: the only place that puts the pieces together, and that sees to it that `complete` is the last word.

A run is one object graph without module-level state, so that a warm process can fork one per run. `execute` emits
`start`, imports what the run needs, lives until the loop has ended or something stops it, and tells the end.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.conversation.initial_history import InitialHistory, load_initial_history
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.engine.signals import SignalHandler
from agent_runtime.errors import ExitCode
from agent_runtime.output.event_writer import EventWriter
from agent_runtime.output.masking import Masker, address_secrets, secret_values, url_secrets
from agent_runtime.protocol import events

if TYPE_CHECKING:
    from agent_runtime.engine.result import RunResult
    from agent_runtime.transcripts.player import Player
    from agent_runtime.transcripts.writer import Recorder

log = logging.getLogger(__name__)


class Run:
    """A run from `start` to `complete`.

    Args:
        plan: what was decided.
        out: the descriptor of the event stream.
        environ: the runtime's own environment.
        interrupts: its signals.
        player: a transcript in the place of the model (and of the tools, with `recorded`).
        past: the history to begin with; without it, that of the request.
    """

    def __init__(
        self,
        plan: RunConfig,
        *,
        out: int,
        environ: Mapping[str, str],
        interrupts: SignalHandler,
        player: Player | None = None,
        recorded: bool = False,
        emitter: EventWriter | None = None,
        past: InitialHistory | None = None,
    ) -> None:
        self.plan, self.environ, self.interrupts = plan, environ, interrupts
        self.player, self.recorded = player, recorded
        self.run_dir, self.trouble = _run_dir(plan)
        self.mask = Masker(_keys(plan, environ))
        self.emitter = emitter or EventWriter(out, plan.run_id)
        self.emitter.mask, self.emitter.spill = self.mask, self.run_dir / "events"
        self.recorder: Recorder | None = None
        self.tracker = ChangeTracker(
            plan.workspace,
            diff_dir=self.run_dir / "diffs",
            track_ignored=plan.request.track_ignored,
            exclude=_own_files(plan, self.run_dir),
        )
        self.past = past or load_initial_history(
            plan.request, workspace=plan.workspace, state_dir=plan.state_dir, agent=plan.agent.slug
        )
        self.past.mask = self.mask
        self.servers = DevServerWatcher(
            template=plan.dev_url, sandbox_id=plan.request.sandbox_id, marker=plan.run_id
        )

    def execute(self, stdin: int | None, rest: bytes = b"") -> int:
        """Run to the end; returns the exit status. Raises RequestError before `start` only."""
        started = time.monotonic()
        if self.plan.request.record:
            self._record(Path(self.plan.request.record))
        if not self.recorded:
            self.tracker.begin()
            self.servers.begin()
        self.interrupts.disarm()
        self.emitter.put(self.plan.start_event())
        gc.freeze()  # what is here now is not garbage (see __main__)
        gc.enable()
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
        logging.getLogger().handlers[0].setFormatter(_Masked(self.mask))
        if self.trouble:
            message = (
                f"outputs are kept in {self.run_dir}, the state directory cannot be written: {self.trouble}"
            )
            self.emitter.put(events.NoticeEvent(code="state_dir_unwritable", message=message))
        from agent_runtime.engine import result

        facts: dict[str, Any] = {}
        try:
            from agent_runtime.engine.supervisor import RunSupervisor

            life = RunSupervisor(self)
            ended = life.run(stdin, rest)
            facts = life.facts()
        except BaseException as error:  # whatever it is, the stream ends with `complete`
            log.exception("the run failed")
            ended = result.failed(error, "")
        return self._end(ended, self._complete(ended, started, facts))

    def _end(self, ended: RunResult, complete: events.CompleteEvent) -> int:
        if told := ended.error_event():
            self.emitter.put(told)
        self.emitter.put(complete)
        self.emitter.flush()
        code = ExitCode.STDOUT_CLOSED if self.emitter.closed else ended.exit_code
        if self.recorder:
            self.recorder.end(status=ended.status, exit_code=code)
        return code

    def _record(self, path: Path) -> None:
        from agent_runtime.transcripts.writer import Recorder

        recorder = Recorder(path, self.mask, self._recording_failed)
        recorder.begin(
            runtime_version=self.plan.start_event().runtime_version,
            run_id=self.plan.run_id,
            workspace=self.plan.workspace,
        )
        request = self.plan.request.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        past = {"past": self.past.recorded()} if self.past.messages else {}
        recorder.request(request, self.plan.resolved() | past)
        self.recorder = recorder
        self.emitter.tee = recorder.event

    def _recording_failed(self, reason: str) -> None:
        self.emitter.tee = None
        self.emitter.put(
            events.NoticeEvent(
                code="recording_stopped", message=f"the transcript cannot be written: {reason}"
            )
        )

    def _complete(self, ended: RunResult, started: float, facts: dict[str, Any]) -> events.CompleteEvent:
        request = self.plan.request
        return events.CompleteEvent(
            status=ended.status,
            stop_reason=ended.stop,
            output=ended.output,
            result=ended.output,
            duration_ms=round((time.monotonic() - started) * 1000),
            thread_id=request.thread_id,
            sandbox_id=request.sandbox_id,
            rollout_id=request.rollout_id,
            target_device_id=request.target_device_id,
            execution_mode=request.execution_mode,
            metadata=request.metadata,
            error=ended.error,
            **facts,
        )


class _Masked(logging.Formatter):
    """Log lines, tracebacks included, without keys."""

    def __init__(self, mask: Masker) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


def _run_dir(plan: RunConfig) -> tuple[Path, str]:
    """Where this run keeps large things; the temporary folder when the state directory cannot be written."""
    try:
        plan.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(plan.run_dir, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        import tempfile

        return Path(tempfile.mkdtemp(prefix="agent-runtime-")), f"{plan.run_dir}: {error.strerror}"
    return plan.run_dir, ""


def _own_files(plan: RunConfig, run_dir: Path) -> list[Path]:
    """What the runtime itself writes, wherever the caller wants it: no change of the agent's."""
    ends = ("sqlite3", "sqlite3-wal", "sqlite3-shm", "locks")
    threads = [plan.state_dir / f"threads.{end}" for end in ends]
    record = [Path(plan.request.record).absolute()] if plan.request.record else []
    return [plan.state_dir / "runs", run_dir, *threads, *record]


def _keys(plan: RunConfig, environ: Mapping[str, str]) -> list[str]:
    """Every secret that this run was given: the models' keys, and variables of the request that are named as such."""
    from agent_runtime.providers.endpoints import key_variables

    given = [endpoint.api_key for endpoint in plan.endpoints if endpoint.api_key]
    proxies = {name: value for name, value in environ.items() if name.lower().endswith("_proxy")}
    addresses = {endpoint.model: endpoint.base_url or "" for endpoint in plan.endpoints}
    return (
        given
        + [*address_secrets(environ).values(), *url_secrets(proxies | addresses).values()]
        + [environ[name] for name in key_variables() if environ.get(name)]
        + secret_values(plan.request.env)
    )
