"""What may differ between two honest runs in the texts of tools: it is masked before two runs are compared.

Outputs of tools: clock times and dates, durations, process ids, temporary names, ports that the kernel chose, short
hashes, addresses. Contents of files are compared exactly: what stands there was written by the agent. System prompts:
dates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent_runtime.transcripts.rewrite import Change, path_change

_VOLATILE = [
    (re.compile(pattern, re.MULTILINE), name)
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
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
_RUN_DIR = re.compile(r"""[^\s"'<>]*/runs/[\w\-]+(?=/(?:output|logs|diffs|events)\b)""")


def volatile(text: str) -> str:
    """The text with everything masked that differs from run to run."""
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text


@dataclass(frozen=True)
class Masks:
    """What is masked when a replay is compared with its recording.

    Args:
        executed: did tools really run? Recorded outputs are compared exactly.
        strict: mask nothing but what `extra` names.
        extra: more patterns, for outputs, diffs and prompts.
    """

    executed: bool
    strict: bool = False
    extra: Sequence[re.Pattern[str]] = ()

    def output(self, text: str) -> str:
        """What a tool has printed."""
        return self.content(volatile(text) if self.executed and not self.strict else text)

    def content(self, text: str) -> str:
        """What stands in a file."""
        for pattern in self.extra:
            text = pattern.sub("<masked>", text)
        return text

    def prompts(self, workspace: str) -> Change:
        """What the model was sent: the workspace and the folder of the run have one name in both runs."""
        rename = renamed(workspace)
        return lambda text: _DATE.sub("<date>", self.output(rename(text)))


def renamed(workspace: str) -> Change:
    """One name for the workspace, and one for the folder where the runtime keeps a run's files."""
    move = path_change(workspace, "<workspace>")
    return lambda text: _RUN_DIR.sub("<run>", move(text)) if "/runs/" in text else move(text)
