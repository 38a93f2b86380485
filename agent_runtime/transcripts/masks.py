"""Masks parts of texts that may differ between two runs of the same commands, before the runs are compared.

In outputs of tools these are times and dates, durations, process ids, temporary names, ports chosen by the kernel,
short hashes, and memory addresses; in system prompts, dates. Contents of files are compared exactly, because the agent
wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.transcripts.rewrite import Change, path_change

_VOLATILE = [
    (lazy_pattern(pattern, re.MULTILINE), name)
    for pattern, name in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? .{2,14}\d\d:\d\d:\d\d( \S{3,4})?( \d{4})?", "<time>"),
        (r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d+ +(\d\d:\d\d|\d{4})", "<time>"),
        (r"\b\d+/\w{3}/\d{4}[: ]\d\d:\d\d:\d\d( [+-]\d{4})?", "<time>"),
        (r"\b\d\d:\d\d:\d\d([.,]\d+)?\b", "<time>"),
        (r"\b\d+m\d+[.,]\d+s\b|\b\d+([.,]\d+)? ?(s|secs?|seconds?|ms|milliseconds?|µs|us)\b", "<duration>"),
        (r"(?<=:)(3[2-9]|[45]\d|6[0-5])\d{3}\b|(?<=[Pp]ort )(3[2-9]|[45]\d|6[0-5])\d{3}\b", "<port>"),
        (r"(?i)\b(pid|process(?: id)?)([ =:#]*)\d+", r"\1\2<pid>"),
        (r"^\[\d+\]([+-]?) +\d+", r"[job]\1 <pid>"),
        (r"/tmp/[\w.\-]+", "<tmp>"),
        (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])([0-9a-f]{40}|[0-9a-f]{7,12})\b", "<hash>"),
        (r"\b0x[0-9a-f]{6,}\b", "<address>"),
    )
]  # fmt: skip
_DATE = lazy_pattern(r"\b\d{4}-\d\d-\d\d\b")
_RUN_DIR = lazy_pattern(r"""[^\s"'<>]*/runs/[\w\-]+(?=/(?:output|logs|diffs|events)\b)""")


def volatile(text: str) -> str:
    """Return the text with everything masked that may differ from run to run."""
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text


@dataclass(frozen=True)
class Masks:
    """What is masked when a replay is compared with its recording.

    Args:
        executed: whether tools were executed. Recorded outputs are compared exactly.
        strict: mask only what matches `extra`.
        extra: further patterns for outputs, diffs and prompts.
    """

    executed: bool
    strict: bool = False
    extra: Sequence[re.Pattern[str]] = ()

    def output(self, text: str) -> str:
        """Mask the output of a tool."""
        return self.content(volatile(text) if self.executed and not self.strict else text)

    def content(self, text: str) -> str:
        """Mask the content of a file."""
        for pattern in self.extra:
            text = pattern.sub("<masked>", text)
        return text

    def prompts(self, workspace: str) -> Change:
        """Return a function that masks prompts; the paths of the workspace and of the run's folder are replaced."""
        rename = renamed(workspace)
        return lambda text: _DATE.sub("<date>", self.output(rename(text)))


def renamed(workspace: str) -> Change:
    """Return a function that replaces the paths of the workspace and of the run's folder by fixed names."""
    move = path_change(workspace, "<workspace>")
    return lambda text: _RUN_DIR.sub("<run>", move(text)) if "/runs/" in text else move(text)
