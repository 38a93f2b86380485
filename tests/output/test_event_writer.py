from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from agent_runtime.output.event_writer import EventWriter, StdoutClosed
from agent_runtime.output.lines import LINE_LIMIT, encode_line
from agent_runtime.output.masking import MASK, Masker
from agent_runtime.protocol import events

NASTY = "a\u2028b\u2029c\x85d\0e\x1ef\ud800g\udc00\U0001f600\r\n\x0b"


def notice(text: str) -> events.NoticeEvent:
    return events.NoticeEvent(code="thawed", message=text)


def test_an_encoded_event_is_one_line_without_surrogates() -> None:
    line = encode_line({"a": NASTY})
    assert len(line.splitlines()) == 1
    assert json.loads(line.encode()) == {"a": NASTY.replace("\ud800", "\ufffd").replace("\udc00", "\ufffd")}


async def emit(emitter: EventWriter, event: events.Event) -> None:
    emitter.put(event)
    await emitter.drain()


def test_a_slow_reader_slows_the_writer_and_loses_nothing() -> None:
    reader, writer = os.pipe()
    received = bytearray()
    texts = ["x" * 70_000 + str(number) for number in range(70)]  # 5 MB, far more than a pipe holds

    def read_slowly() -> None:
        while piece := os.read(reader, 3000):
            received.extend(piece)

    async def write() -> int:
        emitter = EventWriter(writer, "run_1")
        most = 0
        for text in texts:
            await emit(emitter, notice(text))
            most = max(most, sum(map(len, emitter._pending)))
        return most

    thread = threading.Thread(target=read_slowly)
    thread.start()
    most = anyio.run(write)
    assert os.get_blocking(writer)  # all processes that have the pipe share the flag
    os.close(writer)
    thread.join()
    os.close(reader)
    lines = [json.loads(line) for line in received.splitlines()]
    assert [line["message"] for line in lines] == texts
    assert [line["seq"] for line in lines] == list(range(70))
    assert most == 0


def test_a_closed_reader_is_reported_and_a_stalled_one_does_not_delay_the_end() -> None:
    reader, writer = os.pipe()
    emitter = EventWriter(writer, "run_1")
    emitter.put(notice("x" * 300_000))
    assert emitter.flush(0.05) is False and not emitter.closed
    os.close(reader)
    with pytest.raises(StdoutClosed):
        anyio.run(emit, emitter, notice("y"))
    assert emitter.closed and emitter.flush(1)
    os.close(writer)


def test_a_cancelled_wait_loses_no_event() -> None:
    reader, writer = os.pipe()

    async def main() -> None:
        emitter = EventWriter(writer, "run_1")
        with anyio.move_on_after(0.05) as scope:
            await emit(emitter, notice("x" * 200_000))
        assert scope.cancelled_caught
        got = b""
        async with anyio.create_task_group() as group:
            group.start_soon(emit, emitter, notice("second"))
            while got.count(b"\n") < 2:
                got += await anyio.to_thread.run_sync(os.read, reader, 1 << 16)
        assert [json.loads(line)["message"] for line in got.splitlines()] == ["x" * 200_000, "second"]

    anyio.run(main)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("char", ["x", "é", "\U0001f600", '"', "\u2028"])
def test_a_long_event_is_truncated_and_its_text_is_in_a_file(tmp_path: Path, char: str) -> None:
    text = char * 3_000_000
    with (tmp_path / "out").open("wb") as out:
        emitter = EventWriter(out.fileno(), "run_1", spill=tmp_path / "spill")
        emitter.put(
            events.ToolResultEvent(
                id="1", tool="t", output=text, is_error=False, outcome="completed", duration_ms=1, turn=1
            )
        )
        emitter.put(events.ToolCallEvent(id="1", tool="t", input={"nested": [{"deep": text}]}, turn=1))
        emitter.put(complete(files=tuple(f"/w/{number:0100d}" for number in range(20_000))))
    lines = (tmp_path / "out").read_bytes().splitlines()
    assert all(len(line) < LINE_LIMIT for line in lines)
    output, call, *lists, last = map(json.loads, lines)
    assert {notice["code"] for notice in lists} == {"changed_files"}
    assert output["truncated"] and Path(output["outputFile"]).read_text() == text
    assert (
        call["truncated"]
        and json.loads(Path(call["outputFile"]).read_text())["input"]["nested"][0]["deep"] == text
    )
    assert last["truncated"] and len(json.loads(Path(last["outputFile"]).read_text())["files"]) == 20_000


def complete(**more: object) -> events.CompleteEvent:
    return events.CompleteEvent(status="completed", stop_reason="end_turn", output="", result="", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [100, 15_000, 60_000])
@pytest.mark.parametrize(
    "name", ["/w/{:060d}.txt", '/w/{}\n"é\u2028\\', "/w/{:0250d}"], ids=["plain", "escaped", "long"]
)
def test_lists_of_any_length_are_whole_in_the_stream(tmp_path: Path, count: int, name: str) -> None:
    names = [name.format(number) for number in range(count)]
    files, deleted = tuple(names[: count // 2]), tuple(names[count // 2 :])
    with (tmp_path / "out").open("wb") as out:
        EventWriter(out.fileno(), "run_1").put(complete(files=files, deleted_files=deleted))
    lines = (tmp_path / "out").read_bytes().split(b"\n")[:-1]
    assert all(len(line) < LINE_LIMIT for line in lines)
    *lists, last = map(json.loads, lines)
    assert [event["seq"] for event in (*lists, last)] == list(range(len(lines)))
    if lists:
        assert last["truncated"] and len(last["files"]) + len(last["deletedFiles"]) < count
        parts = [notice["details"] for notice in lists]
        assert [(part["part"], part["parts"]) for part in parts] == [
            (n + 1, len(lists)) for n in range(len(lists))
        ]
        whole = {
            key: tuple(name for part in parts for name in part[key]) for key in ("files", "deletedFiles")
        }
    else:
        whole = {key: tuple(last[key]) for key in ("files", "deletedFiles")}
    assert whole == {"files": files, "deletedFiles": deleted}
    assert files[: len(last["files"])] == tuple(last["files"])


def test_secrets_of_tools_are_kept_in_lists_as_in_complete(tmp_path: Path) -> None:
    mask = Masker(["sk-ant-0123456789"], ["hunter2hunter2"])
    names = tuple(f"/w/{number:060d}-hunter2hunter2-sk-ant-0123456789" for number in range(20_000))
    with (tmp_path / "out").open("wb") as out:
        EventWriter(out.fileno(), "run_1", mask=mask).put(complete(files=names))
    lists = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    found = [
        name for event in lists if event.get("code") == "changed_files" for name in event["details"]["files"]
    ]
    assert found == [name.replace("sk-ant-0123456789", MASK) for name in names]


def test_a_long_answer_is_stored_once_as_plain_text(tmp_path: Path) -> None:
    text = "Lorem\n" * 300_000
    with (tmp_path / "out").open("wb") as out:
        answer = events.CompleteEvent(status="completed", stop_reason="end_turn", output=text, result=text)
        EventWriter(out.fileno(), "run_1", spill=tmp_path / "spill").put(answer)
    last = json.loads((tmp_path / "out").read_bytes())
    assert last["truncated"] and Path(last["outputFile"]).read_text() == text


def test_nothing_is_written_after_complete(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        emitter = EventWriter(out.fileno(), "run_1")
        emitter.put(complete())
        emitter.put(notice("too late"))
        emitter.put(complete())
    assert len((tmp_path / "out").read_bytes().splitlines()) == 1


def test_every_line_is_masked_and_passed_to_the_tee(tmp_path: Path) -> None:
    lines: list[str] = []
    with (tmp_path / "out").open("wb") as out:
        emitter = EventWriter(out.fileno(), "run_1", mask=Masker(["sk-ant-0123456789"]), tee=lines.append)
        emitter.put(notice("the key is sk-ant-0123456789."))
    (line,) = (tmp_path / "out").read_text().splitlines()
    assert lines == [line]
    assert json.loads(line)["message"] == f"the key is {MASK}."


def test_output_to_fd_1_goes_to_stderr() -> None:
    code = """
import atexit, os, subprocess, sys
from agent_runtime.output.event_writer import EventWriter, claim_stdout
from agent_runtime.protocol import events
atexit.register(lambda: print("from atexit"))
out = claim_stdout()
print("from print"); os.write(1, b"from fd 1\\n"); subprocess.run(["echo", "from a child"])
EventWriter(out, "run_1").put(events.NoticeEvent(code="thawed", message="y"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["y"]
    assert sorted(done.stderr.splitlines()) == [b"from a child", b"from atexit", b"from fd 1", b"from print"]


def test_a_gigabyte_is_written_through_a_pipe_in_bounded_memory() -> None:
    """A gigabyte with AGENT_RUNTIME_SLOW_TESTS, a tenth of it without; the reader pauses now and then."""
    lines = 1200 if os.environ.get("AGENT_RUNTIME_SLOW_TESTS") else 120
    code = f"""
import anyio, resource, sys
from agent_runtime.protocol import events
from agent_runtime.output.event_writer import EventWriter, claim_stdout
async def main():
    emitter = EventWriter(claim_stdout(), "run_1")
    emitter.put(events.ErrorEvent(code="timeout", message="first", retryable=False, attempt=-1))
    await emitter.drain()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range({lines}):
        emitter.put(events.ErrorEvent(code="timeout", message="x" * 900_000, retryable=False, attempt=number))
        await emitter.drain()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, file=sys.stderr)
anyio.run(main)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        numbers = []
        for line in process.stdout:
            numbers.append(json.loads(line)["attempt"])
            if len(numbers) % 40 == 0:
                threading.Event().wait(0.1)  # a slow reader, not a wait for an event
        grown = int(process.stderr.read())
    assert numbers == [*range(-1, lines)]
    assert grown < 24, f"{grown} MB"
