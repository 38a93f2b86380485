"""Builds the transcript of a session that another agent has recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from agent_runtime.importers.file_changes import FileChange
from agent_runtime.importers.session_lines import SessionLines
from agent_runtime.importers.session_records import SessionInfo, SessionRecords
from agent_runtime.importers.session_values import (
    Content,
    complete_event,
    cut,
    milliseconds,
    result_event,
    text_of,
)
from agent_runtime.lazy import dataclass
from agent_runtime.protocol import events as event
from agent_runtime.protocol.messages import Image, Text, Usage, UserMessage
from agent_runtime.protocol.user_events import PlanEvent, PlanItem
from agent_runtime.providers.prices import PriceTable
from agent_runtime.transcripts.reader import Transcript
from agent_runtime.transcripts.records import ControlRecord, End, PromptRecord, ToolResultRecord

MAIN = ""  # the chain of the session itself; those of sub-agents have their ids


@dataclass
class _Call:
    tool: str
    turn: int
    chain: str
    began: str


@dataclass
class SessionBuilder:
    """Collects the records of a session in their order.

    Each method takes the chain (MAIN, or the id of a sub-agent) where they may differ.
    """

    info: SessionInfo
    records: SessionRecords = field(default_factory=SessionRecords)
    _messages: list[dict[str, Any]] = field(default_factory=list)
    _turn: int = 0
    _turns: dict[str, int] = field(default_factory=dict)  # the open turn of each chain
    # the last text of the model, until it is known whether it is the answer
    _held: tuple[int, str] | None = None
    _calls: dict[str, _Call] = field(default_factory=dict)
    _known_calls: set[str] = field(default_factory=set)
    _tools: dict[str, None] = field(default_factory=dict)
    _usage: Usage = field(default_factory=Usage)
    _cost: float | None = 0.0
    _edits: dict[str, str] = field(default_factory=dict)  # path -> its last action
    _aborted: bool = False
    _error: event.ErrorInfo | None = None
    _prices: PriceTable = field(default_factory=lambda: PriceTable({}))

    def user(self, content: Content) -> None:
        """Add a message of the user to the session itself."""
        if not content:
            return
        self._flush()
        self._close_turn(MAIN)
        self._aborted, self._error = False, None
        for id in [id for id, call in self._calls.items() if call.chain == MAIN]:
            self._no_result(id)
        text = "\n".join(part.text if isinstance(part, Text) else "[image]" for part in content)
        message = UserMessage(blocks=content).model_dump(mode="json", by_alias=True)
        self.records.add(PromptRecord(at=self.records.at, call=self._turn, messages=(message,)))
        if self._turn:
            record = ControlRecord(at=self.records.at, action="input", calls=self._turn, results=0, text=text)
            self.records.add(record)
        else:
            parts = [
                part.model_dump(mode="json", by_alias=True) for part in content if isinstance(part, Image)
            ]
            given = {"role": "user", "content": text if not parts else text_of(content)}
            self._messages.append(given | ({"parts": parts} if parts else {}))

    def turn(self, chain: str, key: str | None = None) -> int:
        """Return the number of the model call to which the following records belong.

        Args:
            chain: of the session or a sub-agent.
            key: a new key begins a new turn; with None, the open turn goes on, if there is one.
        """
        name = f"{chain}\0{key or ''}"
        if name not in self._turns:
            self._close_turn(chain)
            self._turn += 1
            self._turns[name] = self._turn
        return self._turns[name]

    def reasoning(self, chain: str, turn: int, text: str) -> None:
        """Add reasoning of the model."""
        if text.strip():
            self._flush(chain)
            self.records.emit(event.ThinkingEvent(content=cut(text), kind="reasoning", turn=turn))

    def text(self, chain: str, turn: int, text: str) -> None:
        """Add text of the model. The last one of the session is its answer."""
        if not text.strip():
            return
        if chain != MAIN:
            self.records.emit(event.ThinkingEvent(content=cut(text), kind="text", turn=turn))
            return
        if self._held and self._held[0] == turn:
            text = f"{self._held[1]}\n\n{text}"
            self._held = None
        self._flush()
        self._aborted, self._error = False, None
        self._held = (turn, text)

    def call(self, chain: str, turn: int, id: str, tool: str, given: Any) -> None:
        """Add a call of a tool. One whose id is known already is ignored."""
        if not id or id in self._known_calls:
            return
        self._flush(chain)
        self._known_calls.add(id)
        self._calls[id] = _Call(tool, turn, chain, self.records.now)
        self._tools[tool] = None
        self.records.emit(event.ToolCallEvent(id=id, tool=tool, input=given, turn=turn))

    def has_call(self, id: str) -> bool:
        """Whether this call waits for its result."""
        return id in self._calls

    def result(
        self,
        id: str,
        content: Content,
        *,
        is_error: bool = False,
        outcome: event.Outcome | None = None,
        exit_code: int | None = None,
        duration_ms: int | None = None,
    ) -> None:
        """Add the result of a call.

        Raises:
            ValueError: there is no such call, or it has a result.
        """
        call = self._calls.pop(id, None)
        if call is None:
            raise ValueError(
                f"a result of {id or 'a call without an id'}, which is not a call that waits for a result"
            )
        self._close_turn(call.chain)
        duration = duration_ms if duration_ms is not None else milliseconds(call.began, self.records.now)
        record = ToolResultRecord(
            at=self.records.at,
            id=id,
            tool=call.tool,
            duration_ms=duration,
            content=content,
            is_error=is_error,
            outcome=outcome or ("failed" if is_error else "completed"),
            exit_code=exit_code,
        )
        self.records.add(record)
        self.records.emit(result_event(record, call.turn))

    def edits(self, id: str, changes: Iterable[FileChange]) -> None:
        """Add the changes of files that a call has made."""
        for change in changes:
            self._edits[change.path] = change.action
            if change.old_path:
                self._edits[change.old_path] = "delete"
            self.records.emit(change.event(self.info.workspace, id))

    def plan(self, turn: int, items: Sequence[PlanItem], explanation: str | None) -> None:
        """Add a plan."""
        self.records.emit(PlanEvent(items=tuple(items), explanation=explanation or None, turn=turn))

    def usage(self, turn: int, usage: Usage, model: str, window: int = 0) -> None:
        """Add the tokens of a model call."""
        when = self._prices.cost(self.info.provider, model or self.info.model, "", usage)
        self._usage += usage
        self._cost = None if when is None or self._cost is None else self._cost + when
        self.records.emit(event.usage_report(usage, turn, (usage.total_tokens, window), when))

    def notice(self, code: event.NoticeCode, message: str, **details: Any) -> None:
        """Add a notice."""
        self.records.emit(event.NoticeEvent(code=code, message=message, details=details or None))

    def error(self, message: str, *, retryable: bool) -> None:
        """Add a failure of the provider; if it is not `retryable`, it ends the session unless more follows."""
        self._flush()
        self.records.emit(
            event.ErrorEvent(code="provider_error", message=cut(message), retryable=retryable, details=None)
        )
        if not retryable:
            self._error = event.ErrorInfo(code="provider_error", message=cut(message))

    def abort(self) -> None:
        """The user has interrupted the model."""
        self._flush()
        self._aborted = True
        for id in [id for id, call in self._calls.items() if call.chain == MAIN]:
            self._no_result(id)

    def finish(self, path: Path, lines: SessionLines) -> Transcript:
        """Return the transcript. It has no end when the file ends in the middle of a turn."""
        if lines.damaged:
            message = f"{lines.damaged} of {lines.total} lines were left out: {'; '.join(lines.damage)}"
            self.notice("history_repaired", message, leftOut=lines.damaged)
        self._complete()
        return self.records.transcript(path, self.info, self._messages, self._tools)

    def _complete(self) -> None:
        """Add `complete`, unless the file ends in the middle of a turn: then the session was cut off."""
        waiting = any(call.chain == MAIN for call in self._calls.values())
        if not (self._held or self._aborted or self._error) or waiting:
            return
        for id in list(self._calls):
            self._no_result(id)
        ended = complete_event(
            answer=cut(self._held[1] if self._held else ""),
            error=self._error,
            aborted=self._aborted,
            edits=self._edits,
            usage=self._usage,
            cost=self._cost,
            calls=self._turn,
            duration_ms=milliseconds(self.records.began, self.records.now),
        )
        self.records.emit(ended)
        code = 0 if ended.status == "completed" else 1
        self.records.add(End(at=self.records.at, status=ended.status, exit_code=code))

    def _no_result(self, id: str) -> None:
        self.result(
            id, (Text(text="The session has no result of this call."),), is_error=True, outcome="cancelled"
        )

    def _flush(self, chain: str = MAIN) -> None:
        if self._held and chain == MAIN:
            turn, text = self._held
            self._held = None
            self.records.emit(event.ThinkingEvent(content=cut(text), kind="text", turn=turn))

    def _close_turn(self, chain: str) -> None:
        self._turns.pop(f"{chain}\0", None)
