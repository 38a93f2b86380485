"""Changes of files as other agents record them, as `file_edit` events."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.events import FileEditEvent
from agent_runtime.protocol.text import truncate_middle

_MAX_DIFF = 500_000  # bytes


@dataclass(frozen=True)
class FileChange:
    """A change of one file. `hunks` is the unified diff without its headers."""

    path: str
    action: Literal["create", "modify", "delete", "rename"]
    hunks: str
    old_path: str | None = None

    def event(self, workspace: str, call_id: str) -> FileEditEvent:
        """Return the event; the names in its diff are relative to the workspace."""
        old, new = _name(self.old_path or self.path, workspace), _name(self.path, workspace)
        headers = [f"diff --git a/{old} b/{new}"]
        if self.action == "create":
            headers.append("new file mode 100644")
        elif self.action == "delete":
            headers.append("deleted file mode 100644")
        elif self.action == "rename":
            headers += [f"rename from {old}", f"rename to {new}"]
        if self.hunks:
            headers.append("--- /dev/null" if self.action == "create" else f"--- a/{old}")
            headers.append("+++ /dev/null" if self.action == "delete" else f"+++ b/{new}")
        diff = "\n".join(headers) + f"\n{self.hunks}"
        cut = truncate_middle(diff, _MAX_DIFF)
        lines = [line for line in self.hunks.split("\n") if not line.startswith(("+++ ", "--- "))]
        inside = not workspace or self.path.startswith(f"{workspace.rstrip('/')}/")
        return FileEditEvent(
            path=self.path,
            action=self.action,
            old_path=self.old_path,
            diff=cut,
            additions=sum(line.startswith("+") for line in lines),
            deletions=sum(line.startswith("-") for line in lines),
            truncated=True if cut != diff else None,
            outside_workspace=None if inside else True,
            source="tool",
            tool_call_id=call_id,
        )


def codex_changes(changes: Any, workspace: str) -> Iterator[FileChange]:
    """Yield the changes of a patch, by path: `{"type": "update", ...}`, or `{"update": {...}}` in early versions."""
    for path, change in changes.items() if isinstance(changes, dict) else ():
        if not isinstance(change, dict):
            continue
        kind = change.get("type")
        if kind is None and len(change) == 1:
            [(kind, change)] = change.items()
        where = _absolute(path, workspace)
        match kind:
            case "add":
                yield FileChange(where, "create", _whole(change["content"], "+"))
            case "delete":
                yield FileChange(where, "delete", _whole(change.get("content") or "", "-"))
            case "update":
                moved = change.get("move_path")
                hunks = change["unified_diff"]
                if moved:
                    yield FileChange(_absolute(moved, workspace), "rename", hunks, old_path=where)
                else:
                    yield FileChange(where, "modify", hunks)


def claude_changes(result: Any, workspace: str) -> Iterator[FileChange]:
    """Yield the change of an editing tool, as Claude Code records it in `toolUseResult`."""
    if not isinstance(result, dict) or not isinstance(result.get("filePath"), str):
        return
    path = _absolute(result["filePath"], workspace)
    hunks = result.get("structuredPatch")
    if result.get("type") == "create" and isinstance(result.get("content"), str):
        yield FileChange(path, "create", _whole(result["content"], "+"))
    elif isinstance(hunks, list) and hunks:
        yield FileChange(path, "modify", "".join(map(_hunk, hunks)))


def _hunk(hunk: dict[str, Any]) -> str:
    old = f"{int(hunk['oldStart'])},{int(hunk['oldLines'])}"
    new = f"{int(hunk['newStart'])},{int(hunk['newLines'])}"
    return f"@@ -{old} +{new} @@\n" + "".join(f"{line}\n" for line in hunk["lines"])


def _whole(text: str, sign: str) -> str:
    """Return the hunk that adds or removes a whole file."""
    if not text:
        return ""
    lines = text.split("\n")
    end = "" if lines[-1] == "" else "\\ No newline at end of file\n"
    lines = lines[:-1] if lines[-1] == "" else lines
    place = f"@@ -0,0 +1,{len(lines)} @@" if sign == "+" else f"@@ -1,{len(lines)} +0,0 @@"
    return f"{place}\n" + "".join(f"{sign}{line}\n" for line in lines) + end


def _absolute(path: str, workspace: str) -> str:
    return os.path.normpath(f"{workspace or '/'}/{path}" if not path.startswith("/") else path)


def _name(path: str, workspace: str) -> str:
    inside = workspace and path.startswith(f"{workspace.rstrip('/')}/")
    return path[len(workspace.rstrip("/")) + 1 :] if inside else path.lstrip("/")
