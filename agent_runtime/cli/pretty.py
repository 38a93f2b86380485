"""Renders the event stream for a terminal: reasoning, tool calls, file edits, servers, and the result.

Colours are those of rich: none when the output is not a terminal or NO_COLOR is set. Escape sequences in texts of
tools and models are removed, because they could control the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from agent_runtime.cli.diff_view import diff_lines
from agent_runtime.cli.terminal_text import abridged, clean, command_of, lines_cut, seconds

Event = dict[str, Any]

OUTPUT_LINES = 12  # of a tool's output; its head and tail are displayed
DIFF_LINES = 24
INPUT_LINES = 12  # of a command
_DIFF_STYLES = {"add": "green", "del": "red", "hunk": "cyan"}


class Pretty:
    """Writes events as text.

    Args:
        file: the file to write to.
        width: columns; by default those of the terminal, or 80.
    """

    def __init__(self, file: TextIO, *, width: int | None = None) -> None:
        self._console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
        self._workspace = ""
        self._calls: dict[str, Event] = {}
        self._latest_call = ""  # the id of the call that was displayed last

    @property
    def width(self) -> int:
        """The columns that are used; it can be set, when the terminal is resized."""
        return self._console.width

    @width.setter
    def width(self, columns: int) -> None:
        self._console.width = columns

    def write(self, event: Event) -> None:
        """Write one event. Unknown types, and types without a text such as heartbeats, are skipped."""
        write = getattr(self, f"_on_{event.get('type')}", None)
        if write is not None:
            write(event)

    def _on_start(self, event: Event) -> None:
        self._workspace = str(event.get("workspace", "")).rstrip("/") + "/"
        self._rule(f"{event.get('agent')} · {event.get('model')}", "bold")
        self._line(str(event.get("workspace", "")), "dim")

    def _on_user(self, message: Event) -> None:
        """Write a message of the user; no event has this type."""
        self._console.print()
        self._block(clean(message.get("text", "")).strip(), "bold", "› ")

    def _on_thinking(self, event: Event) -> None:
        reasoning = event.get("kind") == "reasoning"
        self._console.print()
        self._block(
            clean(event.get("content", "")).strip(),
            "dim italic" if reasoning else "",
            "┊ " if reasoning else "",
        )

    def _on_tool_call(self, event: Event) -> None:
        self._calls[str(event.get("id"))] = event
        self._console.print()
        self._show_call(event)

    def _on_tool_result(self, event: Event) -> None:
        self._recall(event.get("id"))
        lines = clean(event.get("output", "")).strip("\n").splitlines()
        self._lines(abridged(lines, OUTPUT_LINES, lines_cut(lines)), "dim", "  │ ")
        if event.get("outputFile"):
            self._wrapped(f"the whole output: {event['outputFile']}", "dim", "    ")
        failed = bool(event.get("isError")) or event.get("exitCode") not in (None, 0)
        facts = [seconds(event.get("durationMs"))]
        if event.get("exitCode") is not None:
            facts.insert(0, f"exit {event['exitCode']}")
        if event.get("outcome") not in ("completed", "failed", None):
            facts.insert(0, str(event["outcome"]).replace("_", " "))
        self._line(f"  {'✗' if failed else '✓'} {' · '.join(facts)}", "red" if failed else "green")

    def _on_file_edit(self, event: Event) -> None:
        self._recall(event.get("toolCallId"))
        name, old = self._relative(event.get("path")), event.get("oldPath")
        text = Text("  ").append(f"{event.get('action')} ", "yellow")
        text.append(f"{self._relative(old)} → {name}" if old else name, "bold")
        text.append(f"  +{event.get('additions', 0)}", "green").append(
            f" -{event.get('deletions', 0)}", "red"
        )
        self._console.print(text)
        for line in abridged(diff_lines(str(event.get("diff", ""))), DIFF_LINES):
            if isinstance(line, str):
                self._line(f"    {line}", "dim")
            else:
                number = line.new or line.old or ""
                self._line(f"{number:>6} {clean(line.text)}", _DIFF_STYLES.get(line.kind, "dim"))
        if event.get("truncated"):
            self._wrapped(f"… the whole diff: {event.get('diffFile')}", "dim", "       ")

    def _on_dev_url(self, event: Event) -> None:
        up = event.get("status") == "up"
        text = Text("  ").append("⇢ server up at " if up else "⇢ server gone: ", "magenta" if up else "dim")
        self._console.print(text.append(str(event.get("url")), "bold underline" if up else "dim"))

    def _on_plan(self, event: Event) -> None:
        signs = {"completed": ("✔", "green"), "in_progress": ("▸", "bold")}
        for item in event.get("items") or ():
            sign, style = signs.get(str(item.get("status")), ("·", "dim"))
            self._wrapped(clean(item.get("step", "")), style, f"  {sign} ", "    ")

    def _on_question(self, event: Event) -> None:
        self._console.print()
        self._wrapped(f"? {clean(event.get('text', ''))}", "bold yellow", "", "  ")
        for number, option in enumerate(event.get("options") or (), 1):
            self._wrapped(f"{number}. {clean(option)}", "yellow", "  ", "     ")

    def _on_error(self, event: Event) -> None:
        again = f" (again in {seconds(event['retryInMs'])})" if event.get("retryInMs") is not None else ""
        self._console.print()
        self._wrapped(
            f"✗ {event.get('code')}: {clean(event.get('message', ''))}{again}", "bold red", "", "  "
        )

    def _on_notice(self, event: Event) -> None:
        self._wrapped(f"! {clean(event.get('message', ''))}", "yellow", "", "  ")

    def _on_complete(self, event: Event) -> None:
        status, usage = str(event.get("status")), event.get("usage") or {}
        styles = {"completed": "bold green", "cancelled": "bold yellow", "waiting": "bold yellow"}
        style = styles.get(status, "bold red")
        reason = "" if status == "completed" else f" ({event.get('stopReason')})"
        self._console.print()
        self._rule(f"{status}{reason} in {seconds(event.get('durationMs'))}", style)
        if output := clean(event.get("output", "")).strip():
            self._console.print(Padding(Markdown(output, hyperlinks=False), (0, 2)))
            self._console.print()
        for label, names in (("files", event.get("files")), ("deleted", event.get("deletedFiles"))):
            if names:
                self._wrapped(", ".join(map(self._relative, names)), "", f"  {label:<8}", " " * 10)
        if event.get("devUrl"):
            self._fact("server", str(event["devUrl"]), "bold underline")
        asked = f"{usage.get('inputTokens', 0):,} tokens in, {usage.get('outputTokens', 0):,} out"
        cost = usage.get("costUsd")
        paid = f", ${cost:.4f}" if isinstance(cost, int | float) else ""
        self._fact("model", f"{event.get('iterations', 0)} calls, {asked}{paid}")

    def _show_call(self, call: Event, style: str = "bold blue") -> None:
        self._latest_call = str(call.get("id"))
        title, body = command_of(call.get("input"))
        text = Text("▶ ", style).append(str(call.get("tool")), style)
        title = title.replace(self._workspace, "")
        if (
            len(title) + text.cell_len + 2 > self._console.width
        ):  # displayed completely on the following lines
            title, body = "", self._wrap(title, 4)
        text.append(f"  {title}" if title else "")
        self._console.print(text)
        self._lines(abridged(body, INPUT_LINES), "", "    ")

    def _recall(self, call_id: object) -> None:
        """Repeat the call whose result follows, if another call was displayed in between."""
        call = self._calls.get(str(call_id))
        if call and self._latest_call != call_id:
            self._console.print()
            self._show_call(call, "blue")

    def _relative(self, path: object) -> str:
        return clean(path).removeprefix(self._workspace)

    def _fact(self, label: str, value: str, style: str = "") -> None:
        self._console.print(Text(f"  {label:<8}", "dim").append(value, style))

    def _rule(self, title: str, style: str) -> None:
        self._console.print(Rule(Text(clean(title), style), align="left", style="dim"))

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), overflow="ellipsis", no_wrap=True)

    def _wrap(self, text: str, indent: int) -> list[str]:
        return [line.plain for line in Text(text).wrap(self._console, max(20, self._console.width - indent))]

    def _wrapped(self, text: str, style: str, first: str, rest: str | None = None) -> None:
        """Write a text on as many lines as needed, the first indented by `first`, the others by `rest`."""
        rest = first if rest is None else rest
        for number, line in enumerate(self._wrap(text, max(len(first), len(rest)))):
            self._line((rest if number else first) + line.rstrip(), style)

    def _lines(self, lines: Sequence[str], style: str, prefix: str) -> None:
        for line in lines:
            self._line(f"{prefix}{line}", style)

    def _block(self, text: str, style: str, prefix: str) -> None:
        width = max(20, self._console.width - len(prefix))
        lines: list[RenderableType] = [*Text(text, style).wrap(self._console, width)]
        for line in lines:
            self._console.print(Text(prefix, "dim"), line, sep="")
