"""Damaged and compressed sessions: what can be read is imported, what cannot is counted and reported."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.errors import TranscriptError
from agent_runtime.importers.claude import import_claude
from agent_runtime.importers.codex import import_codex
from agent_runtime.importers.recorded import IMPORTERS, kind_of, read_recorded
from agent_runtime.transcripts.reader import Transcript
from tests.importers.test_sessions import CLAUDE, PARENT, SESSIONS

CODEX = SESSIONS / "codex-0.171.jsonl"


def repaired(transcript: Transcript) -> list[dict[str, Any]]:
    return [event for event in transcript.events if event.get("code") == "history_repaired"]


def by_zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": by_zstd,
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
@pytest.mark.parametrize("path", [CODEX, CLAUDE], ids=["codex", "claude"])
def test_compressed_files_are_read_whatever_their_name(path: Path, ending: str, tmp_path: Path) -> None:
    data = COMPRESSIONS[ending](path.read_bytes())
    plain = tmp_path / "session.jsonl"
    shutil.copy(path, plain)
    for name in (f"session.jsonl{ending}", "other.jsonl"):
        (tmp_path / name).write_bytes(data)
        assert read_recorded(tmp_path / name).events == read_recorded(plain).events


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_compressed_files_that_end_early_are_read_as_far_as_they_go(ending: str, tmp_path: Path) -> None:
    source = b"".join(CODEX.read_bytes().replace(b"call_0", b"call_%d_0" % number) for number in range(40))
    data = COMPRESSIONS[ending](source)
    path = tmp_path / f"rollout.jsonl{ending}"
    path.write_bytes(data[: len(data) * 9 // 10])
    try:
        transcript = import_codex(path)
    except TranscriptError as error:  # the first block is not complete
        assert "no line of a codex rollout" in str(error)
        return
    [notice] = repaired(transcript)
    assert "compressed data is damaged" in notice["message"]


def test_compressed_sub_agents_are_found(tmp_path: Path) -> None:
    for path in PARENT.parent.iterdir():
        name = path.name if path == PARENT else f"{path.name}.gz"
        data = path.read_bytes()
        (tmp_path / name).write_bytes(data if path == PARENT else gzip.compress(data))
    assert read_recorded(tmp_path / PARENT.name).events == read_recorded(PARENT).events


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        b'{"type": "response_item", "payload"',
        b"\xff\xfe\x00junk",
        b"[1, 2]",
        b'{"a": NaN}',
        b'{"a": ' * 9000,
        b'{"a": ' * 190 + b"1" + b"}" * 190,
        b"null",
    ],
)
@pytest.mark.parametrize("path", [CODEX, CLAUDE], ids=["codex", "claude"])
def test_lines_that_cannot_be_read_are_left_out_and_reported(path: Path, line: bytes, tmp_path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / path.name
    damaged.write_bytes(line + b"\n" + b"".join(lines[:5]) + line + b"\n" + b"".join(lines[5:]) + line)
    transcript = read_recorded(damaged)
    [notice] = repaired(transcript)
    assert notice["details"]["leftOut"] == 3
    assert "line 1: " in notice["message"]
    plain = tmp_path / "plain.jsonl"
    shutil.copy(path, plain)
    before, after = read_recorded(plain).events, transcript.events
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("kind", ["codex", "claude"])
def test_values_of_the_wrong_type_never_fail_the_import(kind: str, tmp_path: Path) -> None:
    wrong = [None, 1, -1.5, True, "", "text", [], {}, [None], {"type": "text"}, [["x"]], "\ud800", 10**40]
    path = {"codex": CODEX, "claude": CLAUDE}[kind]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    chosen = random.Random(7)
    for round in range(250):
        copy = json.loads(json.dumps(lines))
        for _ in range(3):
            spoil(copy[chosen.randrange(len(copy))], chosen, wrong)
        damaged = tmp_path / f"rollout-{round}.jsonl"
        damaged.write_text("".join(f"{json.dumps(line)}\n" for line in copy))
        transcript = IMPORTERS[kind](damaged)
        for record in transcript.records:
            record.model_dump_json(by_alias=True)
        calls = [event["id"] for event in transcript.events if event["type"] == "tool_call"]
        assert len(calls) == len(set(calls))
        damaged.unlink()


def spoil(value: Any, chosen: random.Random, wrong: list[Any]) -> None:
    """Replace or remove one value somewhere inside."""
    while isinstance(value, dict | list) and value:
        key = chosen.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if not isinstance(value[key], dict | list) or chosen.random() < 0.3:
            if isinstance(value, dict) and chosen.random() < 0.3:
                del value[key]
            else:
                value[key] = chosen.choice(wrong)
            return
        value = value[key]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"{}", b'{"a": 1}\n' * 5, b"\x1f\x8b\x08junk", b"\0" * 100]
)
def test_a_file_without_a_session_is_an_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    assert kind_of(path) is None
    for importer in (import_codex, import_claude):
        with pytest.raises(TranscriptError, match="has no line of"):
            importer(path)


def test_the_object_of_the_first_versions_of_codex(tmp_path: Path) -> None:
    items = [json.loads(line) for line in (SESSIONS / "codex-0.25.jsonl").read_text().splitlines()]
    session = {"id": "abc", "timestamp": "2025-05-01T10:00:00.000Z", "instructions": ""}
    path = tmp_path / "rollout-2025-05-01-abc.json"
    path.write_text(json.dumps({"session": session, "items": items[1:]}, indent=2))
    assert kind_of(path) == "codex"
    found, expected = read_recorded(path), read_recorded(SESSIONS / "codex-0.25.jsonl")
    kinds = [event["type"] for event in expected.events]
    assert [event["type"] for event in found.events] == kinds
    assert found.header.run_id == "codex-abc"
