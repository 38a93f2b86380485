"""Sessions of Claude Code: the files below `~/.claude/projects`.

Each line that matters has `type` `user`, `assistant` or `system`; a message of the model is spread over several lines
with the same `message.id`. How versions differ:

    until 2.0    sub-agents in the same file, with `isSidechain`
    until 1.0    a session that was continued begins with a copy of the earlier one
    2.0 to 2.1   sub-agents in `agent-ID.jsonl` in the same folder
    since 2.1    sub-agents in `SESSION/subagents/agent-ID.jsonl`; lines of types `attachment`, `queue-operation`, ...
"""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import Any

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.claude_files import agent_files, agent_lines, tagged
from agent_runtime.importers.claude_values import content_of, usage_of
from agent_runtime.importers.file_changes import claude_changes
from agent_runtime.importers.merged import Tagged, merged
from agent_runtime.importers.session import MAIN, SessionBuilder
from agent_runtime.importers.session_lines import Json, SessionLines, read_lines
from agent_runtime.importers.session_records import SessionInfo
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import Text
from agent_runtime.protocol.user_events import PlanItem
from agent_runtime.transcripts.reader import Transcript

_SYNTHETIC = "<synthetic>"  # the model of messages that Claude Code itself has written
_EXIT_CODE = re.compile(r"(?:Error: )?Exit code (-?\d+)(?:\n|\Z)")
_INTERRUPTED = "[Request interrupted by user"
_STEPS = ("pending", "in_progress", "completed")


def is_claude(value: Json) -> bool:
    """Return whether an object is a line of a session."""
    if "seq" in value or "payload" in value:
        return False
    kind = value.get("type")
    if kind == "summary":
        return "leafUuid" in value
    return isinstance(kind, str) and ("sessionId" in value or ("uuid" in value and "parentUuid" in value))


def import_claude(path: Path) -> Transcript:
    """Return a session, with its sub-agents, as a transcript.

    Raises:
        TranscriptError: the file cannot be read, or has no line of a session.
    """
    lines = read_lines(path)
    info = SessionInfo("claude-code", "anthropic")
    importer = _Importer(SessionBuilder(info), lines)
    own = next((str(value["sessionId"]) for value in lines.values if value.get("sessionId")), "")
    files = [list(tagged(lines)), *(list(agent_lines(agent)) for agent in agent_files(path, own))]
    for value in lines.values:
        importer.look_at(value)
    for line in merged(files):
        importer.line(line)
    if not importer.understood:
        raise TranscriptError(f"{path}: has no line of a session of Claude Code")
    return importer.session.finish(path, lines)


@dataclass
class _Importer:
    session: SessionBuilder
    lines: SessionLines
    understood: int = 0
    _chains: set[str] = field(default_factory=set)
    _spawned: dict[str, tuple[str, str]] = field(default_factory=dict)  # prompt -> call id, description
    # message id -> its usage, which the last line has whole
    _usages: dict[str, Json] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)

    def look_at(self, value: Json) -> None:
        """Take from a line what concerns the whole session, and the final usage of its message."""
        info, message = self.session.info, value.get("message")
        for name, key in (("session_id", "sessionId"), ("version", "version"), ("workspace", "cwd")):
            if not getattr(info, name) and isinstance(value.get(key), str):
                setattr(info, name, value[key])
        if isinstance(message, dict):
            model = message.get("model")
            if isinstance(model, str) and model != _SYNTHETIC:
                info.model = info.model or model
            if isinstance(message.get("usage"), dict):
                self._usages[str(message.get("id"))] = message["usage"]

    def line(self, line: Tagged) -> None:
        """Add a line. A line without the expected form is left out and counted."""
        chain, value = line
        self.session.records.at_time(value.get("timestamp"))
        try:
            match value.get("type"):
                case "user":
                    self._user(chain, value)
                case "assistant":
                    self._assistant(chain, value)
                case "system":
                    self._system(value)
                case "attachment":
                    self._attachment(chain, value["attachment"])
                case _:
                    return
            self.understood += 1
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self.lines.leave_out(f"{value.get('type')}: {type(error).__name__}: {error}"[:200])

    def _user(self, chain: str, value: Json) -> None:
        content = value["message"]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        results = [part for part in parts if part.get("type") == "tool_result"]
        for part in results:
            self._result(part, value.get("toolUseResult"))
        given = content_of([part for part in parts if part.get("type") != "tool_result"])
        text = next((part.text for part in given if isinstance(part, Text)), "")
        if chain != MAIN:
            self._introduce(chain, text)
        elif text.startswith(_INTERRUPTED):
            self.session.abort()
        elif value.get("isCompactSummary"):
            self.session.notice(
                "context_compacted", "Claude Code has compacted the context", summary=text[:2_000]
            )
        elif not value.get("isMeta"):
            self.session.user(given)

    def _introduce(self, chain: str, prompt: str) -> None:
        if chain in self._chains:
            return
        self._chains.add(chain)
        call, label = self._spawned.get(prompt, ("", chain))
        details = {"agentId": chain} | ({"toolCallId": call} if call else {})
        self.session.notice("subagent", f"sub-agent begins: {label}", **details)

    def _assistant(self, chain: str, value: Json) -> None:
        message = value["message"]
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if value.get("isApiErrorMessage") or message.get("model") == _SYNTHETIC:
            text = "\n".join(str(part.get("text", "")) for part in parts)
            if value.get("isApiErrorMessage"):
                self.session.error(text, retryable=False)
            return
        id = str(message.get("id") or value.get("uuid"))
        turn = self.session.turn(chain, id)
        for part in parts:
            self._part(chain, turn, part)
        if id not in self._counted and isinstance(message.get("usage"), dict):
            self._counted.add(id)
            usage = self._usages.get(id) or message["usage"]
            self.session.usage(turn, usage_of(usage), str(message.get("model") or ""))

    def _part(self, chain: str, turn: int, part: Json) -> None:
        match part["type"]:
            case "thinking":
                self.session.reasoning(chain, turn, part["thinking"])
            case "text":
                self.session.text(chain, turn, part["text"])
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                given = part.get("input")
                self.session.call(chain, turn, str(part["id"]), str(part["name"]), given)
                if isinstance(given, dict):
                    self._plan(turn, given)
                    if isinstance(prompt := given.get("prompt"), str):
                        label = given.get("description") or given.get("subagent_type") or part["name"]
                        self._spawned[prompt] = (str(part["id"]), str(label))
            case kind if kind.endswith("_tool_result"):  # the result of a tool that the provider has executed
                self._result(part, None)

    def _plan(self, turn: int, given: Json) -> None:
        steps = given.get("todos")
        items = [
            PlanItem(step=str(step["content"]), status=step["status"])
            for step in (steps if isinstance(steps, list) else ())
            if isinstance(step, dict) and "content" in step and step.get("status") in _STEPS
        ]
        if items:
            self.session.plan(turn, items, None)

    def _result(self, part: Json, details: Any) -> None:
        id = str(part.get("tool_use_id") or "")
        if not self.session.has_call(id):
            raise ValueError(f"a result of {id or 'no call'}, which is not a call that waits for a result")
        content = part.get("content")
        content = [{"type": "text", "text": content}] if isinstance(content, str) else content
        found = content_of(content if isinstance(content, list) else [])
        is_error = bool(part.get("is_error"))
        text = next((each.text for each in found if isinstance(each, Text)), "")
        code = _EXIT_CODE.match(text) if is_error else None
        facts = details if isinstance(details, dict) else {}
        duration = facts.get("durationMs", facts.get("totalDurationMs"))
        if not is_error:
            self.session.edits(id, claude_changes(facts, self.session.info.workspace))
        interrupted = facts.get("interrupted") is True or text.startswith(_INTERRUPTED)
        self.session.result(
            id,
            found,
            is_error=is_error or interrupted,
            outcome="cancelled" if interrupted else None,
            exit_code=int(code[1]) if code else None,
            duration_ms=int(duration) if isinstance(duration, int | float) else None,
        )

    def _system(self, value: Json) -> None:
        match value.get("subtype"):
            case "compact_boundary":
                before = (value.get("compactMetadata") or {}).get("preTokens")
                details = {"tokensBefore": before} if isinstance(before, int) else {}
                self.session.notice("context_compacted", "Claude Code has compacted the context", **details)
            case "api_error":
                error = value.get("error")
                message = error.get("message") if isinstance(error, dict) else error
                self.session.error(str(message or "a request to the model has failed"), retryable=True)

    def _attachment(self, chain: str, attachment: Json) -> None:
        if attachment.get("type") == "queued_command" and chain == MAIN:
            prompt = attachment.get("prompt")
            self.session.user(
                content_of([{"type": "text", "text": prompt}] if isinstance(prompt, str) else prompt)
            )
