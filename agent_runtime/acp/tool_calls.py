"""Describes a tool call for a client: its kind, its title, the files that it concerns, and its diffs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_KINDS = {
    "bash": "execute",
    "exec_command": "execute",
    "write_stdin": "execute",
    "str_replace_based_edit_tool": "edit",
    "apply_patch": "edit",
    "read_file": "read",
    "view_image": "read",
    "edit_file": "edit",
    "write_file": "edit",
    "delete_file": "delete",
    "list_directory": "search",
    "file_search": "search",
    "grep": "search",
    "web_search": "fetch",
    "update_plan": "think",
}
_SUBJECTS = ("command", "cmd", "path", "file_path", "pattern", "query", "question", "url", "chars")
_TITLE = 200  # characters
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


def tool_call(id: str, tool: str, given: Any, cwd: str) -> Json:
    """Return the fields of a tool call that has been made: `given` is its input, `cwd` the folder of the session."""
    found: Json = {
        "toolCallId": id,
        "title": _title(tool, given),
        "kind": _kind(tool, given),
        "rawInput": given,
    }
    path = given.get("path") or given.get("file_path") if isinstance(given, dict) else None
    if isinstance(path, str) and path and "\0" not in path:
        found["locations"] = [{"path": os.path.normpath(os.path.join(cwd, path))}]  # noqa: PTH118 - a text
    return found


def _kind(tool: str, given: Any) -> str:
    if isinstance(given, dict) and given.get("command") == "view" and tool == "str_replace_based_edit_tool":
        return "read"
    return _KINDS.get(tool, "other")


def _title(tool: str, given: Any) -> str:
    """The command of a shell; otherwise the name of the tool and what it is applied to."""
    fields = given if isinstance(given, dict) else {}
    subject = next((fields[name] for name in _SUBJECTS if isinstance(fields.get(name), str)), "")
    if tool == "str_replace_based_edit_tool":
        words = [str(fields.get("command", "")), str(fields.get("path", ""))]
    elif tool in ("bash", "exec_command") and subject:
        words = [subject]
    else:
        words = [tool, subject]
    title = " ".join(" ".join(filter(None, words)).split()) or tool
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…"


def text_content(text: str) -> Json:
    """Return a text as an item of the content of a tool call."""
    return {"type": "content", "content": {"type": "text", "text": text}}


def image_content(media_type: str, data: str) -> Json:
    """Return an image as an item of the content of a tool call; `data` is base64."""
    return {"type": "content", "content": {"type": "image", "mimeType": media_type, "data": data}}


def input_text(arguments: str) -> Any:
    """Return the input of a call from the arguments that the model wrote: an object, or the text where it is none."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def diffs(path: str, diff: str) -> Iterator[tuple[Json, int]]:
    """Yield the changes of a file: an item of the content for each hunk of a unified diff, and its first line.

    The texts of an item are those of the hunk, with its context. A binary file has none.
    """
    for start, lines in _hunks(diff):
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        created = not old and "\n--- /dev/null\n" in f"\n{diff}"
        yield {"type": "diff", "path": path, "oldText": None if created else old, "newText": new}, start


def _hunks(diff: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line of each hunk, and its lines; the marker of a missing newline is applied."""
    start: int | None = None
    lines: list[str] = []
    for line in _split(diff):  # not splitlines: a form feed does not end a line of a diff
        if match := _HUNK.match(line):
            if start is not None:
                yield start, lines
            start, lines = int(match[1]), []
        elif start is not None and line[0] in " +-":
            lines.append(line)
        elif start is not None and line.startswith("\\") and lines:
            lines[-1] = lines[-1].removesuffix("\n")
    if start is not None:
        yield start, lines


def _split(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")][:-1]
