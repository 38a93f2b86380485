"""Reading events in files, from any place, also while they grow or when they are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_runtime.server.stream_file import Line, complete_in, event_in, first_seq, seek_after


def event(seq: int, kind: str = "thinking", size: int = 10) -> str:
    content = {"type": kind, "seq": seq, "ts": "", "runId": "r", "content": "é" * size}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def record(line: str) -> str:
    return f'{{"kind":"event","at":5,"event":{line}}}'


def written(path: Path, sizes: list[int], *, transcript: bool) -> Path:
    lines = [event(seq, size=size) for seq, size in enumerate(sizes[:-1])]
    lines.append(event(len(sizes) - 1, "complete", sizes[-1]))
    if transcript:
        lines = [
            x for line in lines for x in (record(line), '{"kind":"tool_result","text":"' + "y" * 300 + '"}')
        ]
        lines = ['{"kind":"header"}', *lines, '{"kind":"end","status":"completed"}']
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize("transcript", [False, True])
@pytest.mark.parametrize("sizes", [[10], [10] * 20_000, [300_000, 10] * 12, [10] * 50 + [400_000]], ids=len)
def test_the_events_after_any_number_are_found(tmp_path: Path, sizes: list[int], transcript: bool) -> None:
    with written(tmp_path / "file", sizes, transcript=transcript).open("rb") as file:
        assert first_seq(file) == 0
        complete = complete_in(file)
        assert complete and complete["seq"] == len(sizes) - 1
        for after in {-1, 0, 1, len(sizes) // 3, len(sizes) - 2, len(sizes) - 1, len(sizes) + 5}:
            offset = seek_after(file, after)
            found = [line.seq for line in map(event_in, file.read().split(b"\n")) if line is not None]
            assert found == list(range(len(sizes)))[-len(found) :] if found else after >= len(sizes) - 1
            assert not found or found[0] <= max(0, after + 1)
            if (
                0 <= after < len(sizes) - 1 and len(sizes) == 20_000
            ):  # the search ends near it, not at the beginning
                file.seek(offset)
                first = next(line for line in map(event_in, file) if line is not None)
                assert after - first.seq < 2_000
                file.seek(0)


def test_the_text_of_an_event_is_as_it_was_written() -> None:
    line = event(3)
    assert event_in(record(line).encode()) == event_in(line.encode()) == Line(3, "thinking", line.encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"3", b'{"kind":"event"}', b'{"type":"x"}', b"\xff\xfe", b'{"kind":"end"}'],
)
def test_what_is_not_an_event_is_left_out(data: bytes) -> None:
    assert event_in(data) is None


def test_fields_in_another_order_are_read() -> None:
    assert event_in(b'{"seq": 1, "type": "x"}') == Line(1, "x", b'{"seq": 1, "type": "x"}')
    assert event_in(b'{"event": {"seq": 1, "type": "x"}, "kind": "event"}') == Line(
        1, "x", b'{"seq":1,"type":"x"}'
    )
