from __future__ import annotations

import json
import math
import os
import re
import resource
from pathlib import Path

import anyio
import pytest

from agent_runtime.errors import ProviderError, ReplayMismatch, RequestError
from agent_runtime.output.event_writer import RecordingStopped
from agent_runtime.output.masking import Masker
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.transcripts.player import Player, ReplayTransport
from agent_runtime.transcripts.reader import read
from agent_runtime.transcripts.records import ControlRecord, ModelResponseRecord
from agent_runtime.transcripts.writer import Recorder
from tests.transcripts.recordings import (
    PICTURE,
    Scripted,
    begun,
    drained,
    event,
    recording,
    start,
    text_chunks,
)

pytestmark = pytest.mark.anyio
KEY = "sk-loopback-0123456789"


async def test_a_replay_yields_the_same_chunks_and_failures(tmp_path: Path) -> None:
    overloaded = ProviderError(
        "overloaded", "busy", retryable=True, retry_after=1.5, status=529, request_id="r", details={"a": 1}
    )
    # a pair of surrogates split over two chunks, line separators, NUL, deep nesting
    whole = [
        *text_chunks("\ud83d", "\ude00 \u2028\u0085\x00"),
        {"type": "message_stop", "x": [[{"y": None}]]},
    ]
    recorder = begun(tmp_path / "t")
    transport = recording(recorder, [*text_chunks("part"), overloaded], whole, [])
    live = [await drained(transport.stream({"messages": [1]})) for _ in range(3)]
    recorder.end(status="completed", exit_code=0)

    player = Player(read(tmp_path / "t"))
    replayed = [await drained(ReplayTransport(player, format="anthropic").stream({})) for _ in range(3)]

    assert [chunks for chunks, _ in replayed] == [chunks for chunks, _ in live]
    assert [error and vars(error) for _, error in replayed] == [error and vars(error) for _, error in live]
    with pytest.raises(ReplayMismatch, match="makes model call 4, the recording has 3"):
        player.next_response("anthropic")


async def test_another_wire_format_is_a_mismatch(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "t")
    await drained(recording(recorder, text_chunks("a")).stream({}))
    recorder.close()
    with pytest.raises(ReplayMismatch, match="uses the format openai-chat, the recorded one anthropic"):
        Player(read(tmp_path / "t")).next_response("openai-chat")


async def test_attempts_are_counted_by_body(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "t")
    transport = recording(recorder, [], [], [])
    for body in ({"model": "m", "messages": [1]}, {"model": "m", "messages": [1]}, {"input": [1, 2]}):
        await drained(transport.stream(body))
    recorder.close()
    calls = [record for record in read(tmp_path / "t").records if record.kind == "model_call"]
    assert [(call.call, call.attempt, call.messages, call.model) for call in calls] == [
        (1, 1, 1, "m"),
        (2, 2, 1, "m"),
        (3, 1, 2, ""),
    ]


async def test_tool_outputs_come_back_whole_and_in_order(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "t")
    for output in (PICTURE, ToolOutput.of("second, of the same id")):
        recorder.tool_result("call_1", "bash", output, 12)
    recorder.close()
    player = Player(read(tmp_path / "t"))
    records = [player.next_output("call_1", "bash") for _ in range(2)]
    assert [record and record.output() for record in records] == [
        PICTURE,
        ToolOutput.of("second, of the same id"),
    ]
    assert player.next_output("call_1", "bash") is None


async def test_chunks_streamed_before_a_cancel_are_kept(tmp_path: Path) -> None:
    streamed = anyio.Event()

    class Endless(Scripted):
        async def stream(self, body):  # type: ignore[no-untyped-def]
            yield text_chunks("first")[0]
            streamed.set()
            await anyio.sleep_forever()

    recorder = begun(tmp_path / "t")
    transport = recording(recorder)
    transport._inner = Endless()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(drained, transport.stream({}))
            await streamed.wait()
            recorder.control("cancel", reason="SIGINT")
            scope.cancel()
    recorder.close()

    transcript = read(tmp_path / "t")
    response = next(record for record in transcript.records if isinstance(record, ModelResponseRecord))
    assert (response.chunks, response.interrupted) == (tuple(text_chunks("first")), True)
    found: list[ControlRecord] = []
    player = Player(transcript, on_control=found.append)
    replayed = ReplayTransport(player, format="anthropic").stream({})
    with anyio.CancelScope() as waiting:
        async with anyio.create_task_group() as group:
            group.start_soon(drained, replayed)
            await anyio.wait_all_tasks_blocked()
            waiting.cancel()
    assert waiting.cancelled_caught  # it waits to be cancelled, as the recorded one was
    assert [(record.action, record.reason) for record in found] == [("cancel", "SIGINT")]


async def test_user_input_is_delivered_before_the_same_call(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "t")
    transport = recording(recorder, [], [])
    await drained(transport.stream({}))
    recorder.control("input", text="and one more thing")
    recorder.tool_result("1", "bash", ToolOutput.of(""), 0)
    await drained(transport.stream({}))
    recorder.close()

    found: list[str | None] = []
    player = Player(read(tmp_path / "t"), on_control=lambda record: found.append(record.text))
    player.deliver()
    assert found == []
    await drained(ReplayTransport(player, format="anthropic").stream({}))
    assert found == ["and one more thing"]


async def test_speed_divides_the_recorded_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    recorder = begun(tmp_path / "t")
    values = {"at": 0, "call": 1, "format": "anthropic", "duration_ms": 400, "error": None}
    recorder.response({**values, "chunks": text_chunks("a", "b"), "offsets": [100, 300]})
    recorder.close()
    for speed, expected in ((4.0, [0.025, 0.05, 0.025]), (math.inf, [])):
        waits.clear()
        await drained(
            ReplayTransport(Player(read(tmp_path / "t"), speed=speed), format="anthropic").stream({})
        )
        assert waits == expected


async def test_the_workspace_may_be_another_one(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "t")
    await drained(recording(recorder, text_chunks("cat /wo", "rk/a.txt /workshop /my/work")).stream({}))
    recorder.tool_result("1", "bash", ToolOutput.of("in /work: nothing"), 0)
    recorder.close()
    player = Player(read(tmp_path / "t"), workspace=Path("/new/place"))
    chunks = player.next_response("anthropic").chunks
    assert "".join(chunk["delta"]["text"] for chunk in chunks) == "cat /new/place/a.txt /workshop /my/work"
    output = player.next_output("1", "bash")
    assert output is not None
    assert output.output().text == "in /new/place: nothing"


async def test_keys_are_masked_also_where_a_stream_splits_them(tmp_path: Path) -> None:
    recorder = begun(tmp_path / "t", Masker([KEY]))
    transport = recording(recorder, text_chunks("the key is ", KEY[:5], KEY[5:9], KEY[9:] + "!"))
    await drained(transport.stream({"messages": [KEY]}))
    recorder.tool_result("1", "bash", ToolOutput.of(f"KEY={KEY}"), 0)
    recorder.request({"model": {"apiKey": KEY}, "env": {"A": KEY}}, {})
    recorder.request({"model": {"apiKey": "short"}}, {})
    recorder.close()
    text = (tmp_path / "t").read_text()
    assert KEY not in text and "short" not in text
    response = next(json.loads(line) for line in text.splitlines() if '"model_response"' in line)
    assert "".join(chunk["delta"]["text"] for chunk in response["chunks"]) == "the key is [secret]!"


def test_the_transcript_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("old")
    path.chmod(0o644)
    recorder = begun(path)
    recorder.event(start())
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read(path).records) == 3  # readable while the run goes on, or was killed
    recorder.end(status="completed", exit_code=0)
    recorder.event(event("thinking", 1))  # nothing is written after the end
    assert read(path).end is not None


@pytest.mark.parametrize("name", ["missing/t", ".", "pipe", "file/t"])
def test_an_unwritable_transcript_is_reported(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"^record: .*expected a file that can be written"):
        Recorder(tmp_path / name)


def test_a_full_disk_ends_the_recording_with_one_notice() -> None:
    recorder = Recorder(Path("/dev/full"))
    recorder.begin(runtime_version="0", run_id="r", workspace=Path("/work"))
    with pytest.raises(RecordingStopped, match=r"^/dev/full: No space left on device$"):
        recorder.event(start())
    recorder.event(event("thinking", 1))
    recorder.end(status="completed", exit_code=0)


def test_a_file_at_its_size_limit_keeps_complete_lines(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "t")
    recorder.begin(runtime_version="0", run_id="r", workspace=Path("/work"))
    recorder.request({"prompt": "x"}, {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        recorder.tool_result("1", "bash", ToolOutput.of("x" * 8000), 0)
        with pytest.raises(
            RecordingStopped, match="^" + re.escape(f"{tmp_path / 't'}: File too large") + "$"
        ):
            recorder.event(start())
        recorder.end(status="completed", exit_code=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(read(tmp_path / "t").records) == 2
