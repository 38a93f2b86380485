"""The transcript of a run: in the file that the request names, or kept in the folder of the run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent_runtime.conversation.initial_history import InitialHistory
from agent_runtime.engine.run_config import RunConfig
from agent_runtime.errors import RequestError
from agent_runtime.output.event_writer import RecordingStopped
from agent_runtime.output.masking import Masker

if TYPE_CHECKING:
    from agent_runtime.transcripts.writer import Recorder


class RunRecording:
    """The transcript of a run, if one is written.

    Args:
        config: the configuration of the run.
        history: the messages before the first turn.
        mask: masks secrets.
        run_dir: the folder of the run.
        may_keep: whether a transcript may be kept in that folder.

    Attributes:
        recorder: writes the transcript; None while there is none.

    Raises:
        RequestError: the file that the request names cannot be written.
    """

    def __init__(
        self, config: RunConfig, *, history: InitialHistory, mask: Masker, run_dir: Path, may_keep: bool
    ) -> None:
        self._config, self._history, self._mask, self._run_dir = config, history, mask, run_dir
        request = config.request
        self._is_kept = may_keep and request.record is None and not request.no_record
        self._early: list[str] = []  # lines that were written before the transcript was created
        self._stopped: RecordingStopped | None = None  # a failure that was not reported
        self.recorder = self._start(Path(request.record)) if request.record else None

    @property
    def is_wanted(self) -> bool:
        """Whether events are recorded."""
        return self._is_kept or self.recorder is not None

    def keep(self) -> None:
        """Create the transcript in the run's folder, if one is kept. Done after `start`, because it takes time."""
        if not self._is_kept:
            return
        from agent_runtime.transcripts.store import NAME

        with suppress(RequestError):  # a full disk; `state_dir_unwritable` was reported
            self.recorder = self._start(self._run_dir / NAME)
            try:
                for line in self._early:
                    self.recorder.event(line)
            except RecordingStopped as reason:
                self._stopped = reason
        self._early.clear()

    def line(self, line: str) -> None:
        """Record a line of the event stream. Raises RecordingStopped, once, when the transcript cannot be written."""
        if self._stopped:
            stopped, self._stopped = self._stopped, None
            raise stopped
        if self.recorder:
            self.recorder.event(line)
        elif self._is_kept:
            self._early.append(line)

    def _start(self, path: Path) -> Recorder:
        from agent_runtime.transcripts.writer import Recorder

        recorder = Recorder(path, self._mask)
        recorder.begin(
            runtime_version=self._config.start_event().runtime_version,
            run_id=self._config.run_id,
            workspace=self._config.workspace,
        )
        # a replay starts no MCP servers, and their settings may hold secrets
        request = self._config.request.model_dump(
            mode="json",
            by_alias=True,
            exclude_defaults=True,
            exclude={"mcp_servers", "mcp_config", "workspace_mcp"},
        )
        history = {"history": self._history.recorded()} if self._history.is_more_than_prompt else {}
        recorder.request(request, self._config.resolved() | history)
        return recorder
