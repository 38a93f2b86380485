"""Whatever is wrong with a transcript is said with its line, and what was expected there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent_runtime.errors import TranscriptError
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.transcripts.reader import read
from tests.transcripts.recordings import begun, start

HEADER = (
    b'{"kind":"header","schemaVersion":1,"runtimeVersion":"0","runId":"r","createdAt":"x","workspace":"/w"}\n'
)
REQUEST = b'{"kind":"request","request":{"prompt":"x"},"resolved":{}}\n'
END = b'{"kind":"end","at":1,"status":"completed","exitCode":0}\n'

BOTH = HEADER + REQUEST
EVENT = b'{"kind":"event","at":1,"event":{"type":%s}}\n'

CASES = {
    "empty": (b"", r"line 1: the file is empty; expected a `header` record"),
    "binary": (b"\x7fELF\x00\xff\xfe\n", r"line 1: expected a JSON object: this is not UTF-8 text"),
    "text": (b"hello\n", r"line 1: expected a JSON object"),
    "another object": (b'{"type":"start","seq":0}\n', r"line 1: expected a `header` record"),
    "array": (HEADER + b"[1]\n", r"line 2: expected a JSON object, found \[1\]"),
    "header alone": (HEADER, r"line 2: the file ends after its header; expected a `request` record"),
    "no request": (HEADER + END, r"line 2: expected a `request` record, found one of kind \"end\""),
    "newer": (HEADER.replace(b":1,", b":2,"), r"line 1: schemaVersion is 2 \(it is newer .*"),
    "no version": (HEADER.replace(b'"schemaVersion":1,', b""), r"line 1: schemaVersion is None; expected 1"),
    "odd version": (HEADER.replace(b":1,", b':"1",'), r"line 1: schemaVersion is '1'; expected 1"),
    "cut header": (
        HEADER[:50],
        r"line 1: the file is truncated in the middle of this line; 0 complete records",
    ),
    "cut": (BOTH + END[:20], r"line 3: the file is truncated in the middle of this line; 2 complete records"),
    "cut in a character": (BOTH + '{"kind":"é'.encode()[:-1], r"line 3: the file is truncated"),
    "damaged": (BOTH + b'{"kind":"end\n' + END, r"line 3: expected a JSON object"),
    "unknown kind": (BOTH + b'{"kind":"nope"}\n', r"line 3: `nope` record: .*expected tags"),
    "no kind": (BOTH + b'{"at":1}\n', r"line 3: a record: "),
    "wrong type": (BOTH + END.replace(b":1,", b':"a",'), r"line 3: `end` record: end\.at: "),
    "missing field": (BOTH + b'{"kind":"end"}\n', r"line 3: `end` record: end\.at: Field required"),
    "unknown field": (BOTH + END.replace(b'"at"', b'"x":1,"at"'), r"line 3: .*end\.x: Extra inputs"),
    "two headers": (BOTH + HEADER, r"line 3: a second `header` record"),
    "after the end": (BOTH + END + END, r"line 4: a record after the `end` record"),
    "NaN": (BOTH + b'{"kind":"end","at":NaN}\n', r"line 3: .*NaN is not JSON"),
    "deep": (BOTH + b"[" * 200_000 + b"\n", r"line 3: "),
    "deep object": (BOTH + b'{"kind":' * 100_000 + b"\n", r"line 3: "),
    "no event": (BOTH + EVENT % b'"no","seq":1', r"line 3: .*known `type`"),
    "bad event": (
        BOTH + EVENT % b'"text_delta","seq":1,"delta":1,"turn":1',
        r"line 3: `event` record: event\.event\.delta: Input should be a valid string",
    ),
    "blank line": (BOTH + b"\n" + END, r"line 3: expected a JSON object"),
}


@pytest.mark.parametrize("case", CASES)
def test_damage_is_reported_with_its_line(tmp_path: Path, case: str) -> None:
    data, expected = CASES[case]
    path = tmp_path / "t.ndjson"
    path.write_bytes(data)
    with pytest.raises(TranscriptError, match=expected) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line ")


def test_files_that_are_not_regular_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, what in {
        tmp_path: "a directory",
        tmp_path / "pipe": "not a regular file",
        Path("/dev/zero"): "not a regular file",
        tmp_path / "none": "no such file",
    }.items():
        with pytest.raises(TranscriptError, match=what):
            read(path)


def test_the_end_of_a_whole_file_needs_no_line_break(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(HEADER + REQUEST + END.rstrip())
    assert read(tmp_path / "t").end is not None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of a transcript without damage."""
    path = tmp_path_factory.mktemp("whole") / "t"
    recorder = begun(path)
    recorder.event(start())
    recorder.tool_result("1", "bash", ToolOutput.of("é\u2028"), 1)
    recorder.control("input", text="x")
    recorder.end(status="completed", exit_code=0)
    return path.read_bytes().splitlines(keepends=True)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_transcripts_never_crash(tmp_path: Path, whole: list[bytes], data: st.DataObject) -> None:
    lines = list(whole)
    number = data.draw(st.integers(0, len(lines) - 1))
    record = json.loads(lines[number])
    match data.draw(st.sampled_from(["field", "bytes", "cut", "drop"])):
        case "field":
            record[data.draw(st.sampled_from(sorted(record)))] = data.draw(JSON)
            lines[number] = json.dumps(record).encode() + b"\n"
        case "bytes":
            place = data.draw(st.integers(0, len(lines[number]) - 1))
            line = bytearray(lines[number])
            line[place : place + 1] = data.draw(st.binary(max_size=3))
            lines[number] = bytes(line)
        case "cut":
            lines[number:] = [lines[number][: data.draw(st.integers(0, len(lines[number])))]]
        case _:
            del lines[number]
    path = tmp_path / "t"
    path.write_bytes(b"".join(lines))
    try:
        read(path)
    except TranscriptError as error:
        assert str(error).startswith(f"{path}, line ")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b'{"kind":"header","schemaVersion":1' + b"0" * 5000 + b"}")
@example(b'{"kind":"header","schemaVersion":true}')
def test_arbitrary_bytes_never_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(data)
    with pytest.raises(TranscriptError, match="line 1: "):
        read(path)
