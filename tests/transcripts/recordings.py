"""Recordings made by hand, with the real recorder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import Image, Text
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.transcripts.recording_transport import RecordingTransport
from agent_runtime.transcripts.writer import Recorder

Json = dict[str, Any]


class Scripted:
    """A transport that yields the given chunks, then raises the given error, if any."""

    def __init__(self, *answers: Sequence[Json | ProviderError]) -> None:
        self._answers = list(answers)

    async def stream(self, body: Json) -> AsyncIterator[Json]:
        for item in self._answers.pop(0):
            if isinstance(item, ProviderError):
                raise item
            yield item

    async def aclose(self) -> None:
        pass


def text_chunks(*pieces: str) -> list[Json]:
    """Pieces of one text, as one of the wires has them."""
    return [{"type": "content_block_delta", "index": 0, "delta": {"text": piece}} for piece in pieces]


def event(type: str, seq: int, /, **fields: Any) -> str:
    """A line of the event stream."""
    return json.dumps(
        {"type": type, "seq": seq, "ts": "2026-01-02T03:04:05.678Z", "runId": "run_1", **fields}
    )


def start(seq: int = 0) -> str:
    return event(
        "start",
        seq,
        schemaVersion=1,
        runtimeVersion="0",
        agent="a",
        model="m",
        provider="p",
        workspace="/work",
        tools=["bash"],
        limits={},
    )


def begun(path: Path, mask: Callable[[str], str] = lambda text: text) -> Recorder:
    """A recorder after its header and request."""
    recorder = Recorder(path, mask)
    recorder.begin(runtime_version="0", run_id="run_1", workspace=Path("/work"))
    recorder.request({"prompt": "do it"}, {"tools": ["bash"]})
    return recorder


def recording(recorder: Recorder, *answers: Sequence[Json | ProviderError]) -> RecordingTransport:
    return RecordingTransport(Scripted(*answers), recorder, provider="anthropic", format="anthropic")


async def drained(stream: AsyncIterator[Json]) -> tuple[list[Json], ProviderError | None]:
    """Everything a stream yields, and how it failed."""
    found: list[Json] = []
    try:
        async for chunk in stream:
            found.append(chunk)
    except ProviderError as error:
        return found, error
    return found, None


PICTURE = ToolOutput(
    content=(Text(text="a picture"), Image(media_type="image/png", data="AAAA")),
    is_error=True,
    outcome="timed_out",
    exit_code=3,
    truncated=True,
    output_bytes=10,
    output_file="/state/output/1.txt",
)
