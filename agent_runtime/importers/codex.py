"""Rollouts of codex: the files below `~/.codex/sessions`.

The forms of the versions:

    until 0.1.25 (Node)  one object: `session`, `items`
    0.2 to 0.43          a line with `id` and `timestamp`, then bare response items, and lines with `record_type`
    since 0.44           lines with `timestamp`, `type` and `payload`: `session_meta`, `turn_context`, `response_item`,
                         `event_msg` (`token_count`, `turn_aborted`, ...), `compacted`
    2026                 `token_usage_record`, `world_state`, `event_msg` with `item_completed` (`FileChange`, ...); a
                         rollout of its own for each sub-agent, with `parent_thread_id`; old ones compressed by zstd
"""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import Any

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.codex_files import agents_of, identity_of, unwrapped
from agent_runtime.importers.codex_outputs import content_of, texts_of, tool_output
from agent_runtime.importers.file_changes import codex_changes
from agent_runtime.importers.merged import Tagged, merged
from agent_runtime.importers.session import MAIN, SessionBuilder
from agent_runtime.importers.session_lines import Json, SessionLines, read_lines
from agent_runtime.importers.session_records import SessionInfo
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import Text, Usage, parse_arguments
from agent_runtime.protocol.user_events import PlanItem
from agent_runtime.transcripts.reader import Transcript

# messages in the role of the user that codex itself has written
_HARNESS = re.compile(
    r"\s*(?:<(\w+)>.*</\1>\s*\Z|<user_instructions>|# AGENTS\.md instructions for )", re.DOTALL
)
_CWD = re.compile(r"<cwd>(.+?)</cwd>")
_STEPS = ("pending", "in_progress", "completed")


def is_codex(value: Json) -> bool:
    """Return whether an object is a line of a rollout."""
    if isinstance(value.get("session"), dict) and isinstance(value.get("items"), list):
        return True
    if "payload" in value and isinstance(value.get("type"), str):
        return True
    if "record_type" in value or {"id", "timestamp", "instructions"} <= value.keys():
        return True
    return value.get("type") in ("function_call", "function_call_output", "reasoning") and "seq" not in value


def import_codex(path: Path) -> Transcript:
    """Return a rollout, with those of its sub-agents that are in the same folder, as a transcript.

    Raises:
        TranscriptError: the file cannot be read, or has no line of a rollout.
    """
    lines = read_lines(path)
    main = [Tagged(MAIN, value) for value in unwrapped(lines)]
    identity = identity_of(lines.values)
    agents = list(agents_of(path, identity, {identity})) if identity else []
    importer = _Importer(SessionBuilder(SessionInfo("codex", "openai")), lines)
    for tagged in merged([main, *agents]):
        importer.line(tagged)
    if not importer.understood:
        raise TranscriptError(f"{path}: has no line of a codex rollout")
    return importer.finish(path)


@dataclass
class _Importer:
    session: SessionBuilder
    lines: SessionLines
    understood: int = 0
    _last: dict[str, int] = field(default_factory=dict)  # the latest turn of each chain
    # the latest turn of each chain whose tokens are known
    _counted: dict[str, int] = field(default_factory=dict)
    _facts: dict[str, Json] = field(default_factory=dict)  # what an event says about a call, by its id
    _model: str = ""

    def line(self, tagged: Tagged) -> None:
        """Add a line. A line without the expected form is left out and counted."""
        value = tagged.value
        self.session.records.at_time(value.get("timestamp"))
        try:
            payload = value["payload"]
            match value.get("type"):
                case "session_meta":
                    self._meta(tagged.chain, payload)
                case "turn_context":
                    self._model = str(payload.get("model") or self._model)
                    info = self.session.info
                    info.model = info.model or self._model
                    info.workspace = info.workspace or str(payload.get("cwd") or "")
                case "response_item":
                    self._item(tagged.chain, payload)
                case "token_usage_record":
                    self._usage(tagged.chain, payload.get("usage"), 0)
                case "compacted":
                    self.session.notice("context_compacted", "codex has compacted the context")
                case "event_msg":
                    self._event(tagged.chain, payload)
                case _:
                    return
            self.understood += 1
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self.lines.leave_out(f"{value.get('type')}: {type(error).__name__}: {error}"[:200])

    def finish(self, path: Path) -> Transcript:
        """Return the transcript."""
        return self.session.finish(path, self.lines)

    def _meta(self, chain: str, meta: Json) -> None:
        if chain != MAIN:
            name = str(meta.get("agent_nickname") or meta.get("agent_role") or chain)
            self.session.notice("subagent", f"sub-agent {name} begins", agentId=chain)
            return
        info = self.session.info
        if info.session_id:  # of the session that this one was forked from
            return
        info.session_id, info.version = str(meta.get("id") or ""), str(meta.get("cli_version") or "")
        info.workspace = str(meta.get("cwd") or "")
        info.provider = str(meta.get("model_provider") or info.provider)
        base = meta.get("base_instructions")
        system = base.get("text") if isinstance(base, dict) else meta.get("instructions")
        info.system = system if isinstance(system, str) else ""

    def _turn(self, chain: str) -> int:
        turn = self._last[chain] = self.session.turn(chain)
        return turn

    def _item(self, chain: str, item: Json) -> None:
        kind = item["type"]
        if kind == "message" and item["role"] == "assistant":
            self.session.text(chain, self._turn(chain), texts_of(item["content"]))
        elif kind == "message" and item["role"] == "user":
            given = content_of(item["content"])
            harness = [part for part in given if isinstance(part, Text) and _HARNESS.match(part.text)]
            for part in harness:
                cwd = _CWD.search(part.text)
                self.session.info.workspace = self.session.info.workspace or (cwd[1] if cwd else "")
            if chain == MAIN:
                self.session.user(tuple(part for part in given if part not in harness))
        elif kind == "reasoning":
            text = texts_of(item.get("summary")) or texts_of(item.get("content"))
            self.session.reasoning(chain, self._turn(chain), text)
        elif kind.endswith("_output"):
            self._result(item)
        elif kind.endswith("_call"):
            self._call(chain, item)

    def _call(self, chain: str, item: Json) -> None:
        turn, kind = self._turn(chain), item["type"]
        id = str(item.get("call_id") or item.get("id") or f"call_{self.understood}")
        if kind == "function_call":
            arguments = item["arguments"]
            given: Any = parse_arguments(arguments) if isinstance(arguments, str) else arguments
            given = arguments if given is None else given
            self.session.call(chain, turn, id, _tool_name(item), given)
            if item["name"] == "update_plan" and isinstance(given, dict):
                self._plan(turn, given)
        elif kind == "custom_tool_call":
            self.session.call(chain, turn, id, _tool_name(item), {"input": item["input"]})
        else:  # of codex or of the provider: local_shell_call, web_search_call, ...
            self.session.call(chain, turn, id, kind.removesuffix("_call"), item.get("action") or {})
            if "call_id" not in item:  # the provider has executed it; its result is not recorded
                self.session.result(id, ())

    def _plan(self, turn: int, given: Json) -> None:
        steps = given.get("plan")
        items = [
            PlanItem(step=str(step["step"]), status=step["status"])
            for step in (steps if isinstance(steps, list) else ())
            if isinstance(step, dict) and "step" in step and step.get("status") in _STEPS
        ]
        explanation = given.get("explanation")
        if items:
            self.session.plan(turn, items, explanation if isinstance(explanation, str) else None)

    def _result(self, item: Json) -> None:
        id = str(item.get("call_id") or "")
        output = tool_output(item.get("output"), self._facts.pop(id, {}))
        self.session.result(id, **output)

    def _event(self, chain: str, event: Json) -> None:
        kind = event["type"]
        if kind == "token_count" and isinstance(event.get("info"), dict):
            info = event["info"]
            self._usage(chain, info.get("last_token_usage"), int(info.get("model_context_window") or 0))
        elif kind == "turn_aborted" and chain == MAIN:
            self.session.abort()
        elif kind in ("error", "stream_error"):
            self.session.error(str(event.get("message")), retryable=kind == "stream_error")
        elif kind == "item_completed":
            self._completed(event["item"])
        elif kind == "patch_apply_end" and event.get("success", True):
            self._changed(str(event.get("call_id")), event.get("changes"))
        elif kind == "exec_command_end":
            self._facts[str(event.get("call_id"))] = event

    def _completed(self, item: Json) -> None:
        id = str(item.get("id"))
        if item.get("type") == "FileChange" and item.get("status") == "completed":
            self._changed(id, item.get("changes"))
        elif item.get("type") == "CommandExecution":
            self._facts[id] = item

    def _changed(self, id: str, changes: Any) -> None:
        if self.session.has_call(id):
            self.session.edits(id, codex_changes(changes, self.session.info.workspace))

    def _usage(self, chain: str, given: Any, window: int) -> None:
        """Add the tokens of the latest turn once, although lines of several types report them."""
        turn = self._last.get(chain, 0)
        if not isinstance(given, dict) or self._counted.get(chain, 0) >= turn:
            return
        self._counted[chain] = turn
        usage = Usage(
            input_tokens=int(given.get("input_tokens") or 0),
            output_tokens=int(given.get("output_tokens") or 0),
            cached_input_tokens=int(given.get("cached_input_tokens") or 0),
            cache_write_tokens=int(given.get("cache_write_input_tokens") or 0),
            reasoning_tokens=int(given.get("reasoning_output_tokens") or 0),
        )
        self.session.usage(turn, usage, self._model, window)


def _tool_name(item: Json) -> str:
    name, space = str(item["name"]), str(item.get("namespace") or "")
    return f"{space.rstrip('_')}__{name}" if space.startswith("mcp__") else name
