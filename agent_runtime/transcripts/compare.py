"""Compares the event stream of a replay with the recorded one, ignoring what may differ.

Ignored: `seq`, `ts`, `runId`, `runtimeVersion`, `durationMs`, costs, process ids, the folders of saved output and
diffs, the delays before retries, heartbeats and deltas, notices that depend on the clock or on prices. The path of the
workspace is replaced by the same name in both streams. When tools were executed, their outputs are masked (see
`masks`), and the output of a call that was cancelled is ignored. Contents of files are compared exactly; of files that
a background process wrote, only whether they exist.

The order is ignored for results of concurrent calls (each is compared with its call), edits within one call, edits by
background processes (a set of paths), and servers (a set).
"""

from __future__ import annotations

import difflib
import json
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from agent_runtime.lazy import dataclass
from agent_runtime.transcripts.masks import Masks, renamed, volatile
from agent_runtime.transcripts.rewrite import Change, rewrite

Event = dict[str, Any]

# events that depend on timing only
TIMING = frozenset({"heartbeat", "text_delta", "thinking_delta", "tool_input_delta", "tool_output_delta"})
_ENVELOPE = frozenset(
    {
        "seq",
        "ts",
        "runId",
        "durationMs",
        "pid",
        "outputFile",
        "diffFile",
        "logFile",
        "retryInMs",
        "truncatedReason",
        "costUsd",  # the table of prices changes
    }
)
# a replay starts no MCP servers: their order, and when they ended, depends on timing
_IGNORED_NOTICES = frozenset(
    (
        *("frozen", "thawed", "request_differs", "price_unknown", "skill_ignored", "background_awaited"),
        *("mcp_server_ready", "mcp_server_failed"),
    )
)


@dataclass(frozen=True)
class Divergence:
    """The first difference between two streams; `recorded` or `now` is None where one of them has ended."""

    recorded: Event | None
    now: Event | None
    field: str
    before: tuple[Event, ...]  # the events just before it, which are the same in both streams
    was: Any = None  # the two values of the field, as compared
    is_now: Any = None

    def __str__(self) -> str:
        lines = [f"the replay diverges from the recording at {self._place()}"]
        if self.field:
            lines.append(f"  field: {self.field}")
        lines += [f"    {line}" for line in _diff(self.was, self.is_now)]
        if self.before:
            lines.append("  just before, the same in both:")
            lines += [f"    {_brief(event)}" for event in self.before]
        return "\n".join(lines)

    def details(self) -> dict[str, Any]:
        """Return the `details` of the `error` event."""
        sides = {"recordedSeq": self.recorded, "seq": self.now}
        return {name: event.get("seq") for name, event in sides.items() if event} | {"field": self.field}

    def _place(self) -> str:
        if self.recorded is None:
            return f"its end: {_brief(self.now or {})} was not recorded"
        if self.now is None:
            return f"its end: {_brief(self.recorded)} is missing"
        both = _brief(self.recorded)
        if self.recorded.get("type") != self.now.get("type"):
            both += f", now {_brief(self.now)}"
        return f"{both} (seq {self.recorded.get('seq')}, now {self.now.get('seq')})"


def compare(
    recorded: Iterable[Event],
    now: Iterable[Event],
    *,
    masks: Masks,
    old_workspace: str = "",
    new_workspace: str = "",
) -> Divergence | None:
    """Return the first difference between two event streams, or None.

    Args:
        recorded: the events of the transcript.
        now: the events of the replay.
        masks: what is masked before the comparison.
        old_workspace: absolute path of the workspace in the recording.
        new_workspace: absolute path of the workspace in the replay.
    """
    left = _canonical(recorded, renamed(old_workspace), masks)
    right = _canonical(now, renamed(new_workspace), masks)
    for index in range(max(len(left), len(right))):
        old, new = (side[index] if index < len(side) else (None, None) for side in (left, right))
        if old[0] == new[0]:
            continue
        before = tuple(event for _, event in left[max(0, index - 3) : index] if event is not None)
        if old[0] is None or new[0] is None or old[0]["type"] != new[0]["type"]:
            return Divergence(old[1], new[1], "", before, old[0], new[0])
        names = [*old[0], *(name for name in new[0] if name not in old[0])]
        field = next(name for name in names if old[0].get(name) != new[0].get(name))
        return Divergence(old[1], new[1], field, before, old[0].get(field), new[0].get(field))
    return None


def _canonical(events: Iterable[Event], rename: Change, masks: Masks) -> list[tuple[Any, Any]]:
    """Return pairs of the comparable form of an event and the event, in an order that does not depend on timing."""
    main: list[Event] = []
    answers: dict[str, deque[Event]] = defaultdict(deque)
    edits: dict[str, list[Event]] = defaultdict(list)
    loose: list[Event] = []
    for event in events:
        kind = event["type"]
        if kind == "tool_result":
            answers[str(event.get("id"))].append(event)
        elif kind == "file_edit" and event.get("toolCallId"):
            edits[str(event["toolCallId"])].append(event)
        elif kind in ("file_edit", "dev_url"):
            loose.append(event)
        elif kind not in TIMING and not _is_ignored(event):
            main.append(event)
    ordered: list[Event] = []
    for event in main:
        if event["type"] == "complete":
            ordered += sorted(_net(loose), key=lambda e: (e["type"], str(e.get("path")), str(e.get("port"))))
        ordered.append(event)
        if event["type"] == "tool_call":
            call = str(event.get("id"))
            ordered += sorted(edits.pop(call, []), key=lambda e: str(e.get("path")))
            ordered += [answers[call].popleft()] if answers[call] else []
    ordered += [event for rest in (*edits.values(), *answers.values()) for event in rest]
    return [(_comparable(rewrite(event, rename), masks), event) for event in ordered]


def _net(loose: Sequence[Event]) -> list[Event]:
    """Return the final state of each path that was changed in the background, and each server that came up."""
    existed: dict[str, bool] = {}
    last: dict[tuple[str, str], Event] = {}
    for event in loose:
        path = str(event.get("path"))
        if event["type"] == "dev_url":
            if event.get("status") == "up":
                last["url", volatile(str(event.get("localUrl")))] = event
            continue
        if old := event.get("oldPath"):
            existed.setdefault(str(old), True)
            last["path", str(old)] = event | {"path": old, "action": "delete"}
        existed.setdefault(path, event.get("action") in ("modify", "delete"))
        last["path", path] = event
    came_and_went = {("path", path) for path, before in existed.items() if not before}
    return [
        event
        for place, event in last.items()
        if event.get("action") != "delete" or place not in came_and_went
    ]


def _comparable(event: Event, masks: Masks) -> Event:
    kept = {name: value for name, value in event.items() if name not in _ENVELOPE}
    if isinstance(kept.get("usage"), dict):  # of `complete`
        kept["usage"] = {name: value for name, value in kept["usage"].items() if name != "costUsd"}
    match event["type"]:
        case "start":
            kept.pop("runtimeVersion", None)
        case "tool_result":
            printed = str(event.get("output")).replace(str(event.get("outputFile")), "<file>")
            # the output of a call up to its cancellation depends on timing
            cancelled = masks.executed and event.get("outcome") == "cancelled"
            kept["output"] = "" if cancelled else masks.output(printed)
        case "file_edit":
            return _comparable_edit(kept, masks)
        case "dev_url":
            return {"type": "dev_url", "localUrl": volatile(str(event.get("localUrl")))}
        case "complete":
            kept["devUrl"] = volatile(str(event.get("devUrl")))
            for name in ("left", "ended"):  # which processes are alive at the end depends on timing
                kept.pop(name, None)
            urls = event.get("devUrls")
            servers = [url for url in urls if isinstance(url, dict)] if isinstance(urls, list) else []
            kept["devUrls"] = sorted(volatile(str(server.get("localUrl"))) for server in servers)
        case "usage" if event.get("estimated"):
            return {"type": "usage", "turn": event.get("turn")}
        case "usage" if masks.executed and not masks.strict:
            kept.pop("contextTokens", None)  # it counts the outputs, which are masked
    return kept


def _comparable_edit(edit: Event, masks: Masks) -> Event:
    if not edit.get(
        "toolCallId"
    ):  # the moment at which a background process's change is found depends on timing
        return {"type": "file_edit", "path": edit.get("path"), "exists": edit.get("action") != "delete"}
    return edit | {"diff": masks.content(str(edit.get("diff")))}


def _is_ignored(event: Event) -> bool:
    """Whether an event depends on the clock, or on a control line that had no effect, which is not replayed."""
    details = event.get("details")
    if event["type"] == "error":
        return event.get("code") == "invalid_request" and isinstance(details, dict) and "line" in details
    timeout = isinstance(details, dict) and details.get("limit") == "timeout"
    return event["type"] == "notice" and (event.get("code") in _IGNORED_NOTICES or timeout)


def _brief(event: Event) -> str:
    kind = str(event.get("type"))
    about = [str(event[name]) for name in ("id", "tool", "path", "code", "status") if event.get(name)]
    return " ".join([f"`{kind}`", *about, *([f"of turn {event['turn']}"] if "turn" in event else [])])


def _diff(was: Any, now: Any) -> list[str]:
    found = list(difflib.unified_diff(_lines(was), _lines(now), "recorded", "now", lineterm="", n=2))
    lines = [line if len(line) <= 200 else f"{line[:200]} [...]" for line in found[:60]]
    return lines + ([f"[{len(found) - 60} more lines]"] if len(found) > 60 else [])


def _lines(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.split("\n")
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).split("\n")
