"""Reads transcripts. Errors name the line, and what was expected there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agent_runtime.errors import TranscriptError
from agent_runtime.lazy import dataclass
from agent_runtime.transcripts.records import SCHEMA_VERSION, End, EventRecord, Header, Record, RequestRecord

if TYPE_CHECKING:
    from pydantic import ValidationError


@dataclass(frozen=True)
class Transcript:
    """A transcript. `records` are all records in order, including header and request."""

    path: Path
    header: Header
    request: RequestRecord
    records: Sequence[Any]  # of Record

    @classmethod
    def load(cls, path: str | Path) -> Transcript:
        """Read a transcript. Raises TranscriptError, which names the line and what was expected there."""
        return read(Path(path))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, in order."""
        return [record.event for record in self.records if isinstance(record, EventRecord)]

    @property
    def end(self) -> End | None:
        """The last record; None when the run was killed."""
        last = self.records[-1]
        return last if isinstance(last, End) else None


def read(path: Path, *, growing: bool = False) -> Transcript:
    """Read a transcript. Raises TranscriptError, which names the line and what was expected there.

    Args:
        path: the file.
        growing: the run may still be active; an incomplete last line is left out.
    """
    from pydantic import ValidationError

    from agent_runtime.models.twin import adapter_of

    adapter = adapter_of(Record)
    records: list[Any] = []
    for number, line in _lines(path):
        if growing and not line.endswith(b"\n"):
            break
        value = _parse(path, number, line)
        _expect(path, number, value, records)
        try:
            records.append(adapter.validate_python(value))
        except (ValidationError, RecursionError) as error:
            _fail(path, number, _explain(value, error))
    if not records:
        _fail(path, 1, "the file is empty; expected a `header` record")
    if len(records) == 1:
        _fail(path, 2, "the file ends after its header; expected a `request` record")
    return Transcript(path, records[0], records[1], tuple(records))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.exists():
        raise TranscriptError(f"{path}: there is no such file; expected a transcript")
    if not path.is_file():  # reading a FIFO or a device could block forever
        what = "a directory" if path.is_dir() else "not a regular file"
        raise TranscriptError(f"{path}: this is {what}; expected a transcript")
    try:
        with path.open("rb") as file:
            yield from enumerate(file, start=1)
    except OSError as error:
        raise TranscriptError(f"{path}: cannot be read: {error.strerror}") from error


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if line.startswith(b"{") and not line.endswith(b"\n"):
            whole = f"{number - 1} complete records precede it (`head -n {number - 1}` keeps them)"
            _fail(path, number, f"the file is truncated in the middle of this line; {whole}")
        what = "this is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        _fail(path, number, f"expected a JSON object: {what}")
    if not isinstance(value, dict):
        _fail(path, number, f"expected a JSON object, found {json.dumps(value)[:40]}")
    return value


def _expect(path: Path, number: int, value: dict[str, Any], before: Sequence[Any]) -> None:
    """Check the position of a record: header first, request second, each once; nothing after `end`; the version."""
    kind = value.get("kind")
    wanted = {1: "header", 2: "request"}.get(number)
    if wanted and kind != wanted:
        _fail(path, number, f"expected a `{wanted}` record, found one of kind {json.dumps(kind)[:40]}")
    if not wanted and kind in ("header", "request"):
        _fail(path, number, f"a second `{kind}` record; expected one per transcript")
    if before and isinstance(before[-1], End):
        _fail(path, number, "a record after the `end` record; expected nothing")
    if kind == "header" and (version := value.get("schemaVersion")) != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        hint = " (it is newer than this program: update agent-runtime)" if newer else ""
        _fail(path, number, f"schemaVersion is {version!r}{hint}; expected {SCHEMA_VERSION}")


def _explain(value: dict[str, Any], error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply to be a record"
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    kind = f"`{value['kind']}` record" if isinstance(value.get("kind"), str) else "a record"
    return f"{kind}: {place + ': ' if place else ''}{first['msg']}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _fail(path: Path, number: int, what: str) -> NoReturn:
    raise TranscriptError(f"{path}, line {number}: {what}")
