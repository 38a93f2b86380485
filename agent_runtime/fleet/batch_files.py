"""The files of a batch: its requests, its results, and what is needed to resume it.

The requests are NDJSON, one per line. Next to the results, `RESULTS.batch` has the name of the batch, from which the
ids of its runs are derived, so that a resumed batch finds the runs that were started before.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.output.lines import encode_line
from agent_runtime.protocol.request import Request, parse
from agent_runtime.protocol.strict_json import decode


@dataclass(frozen=True)
class BatchRequest:
    """One line of a file of requests.

    Attributes:
        line: its number, from 1.
        id: its `runId`, or an id derived from the batch and the line.
    """

    line: int
    id: str
    request: Request

    def run_id(self, attempt: int) -> str:
        """The id of the run of an attempt, from 1."""
        return self.id if attempt == 1 else f"{self.id}.{attempt}"


def read_requests(path: Path, name: str) -> list[BatchRequest]:
    """Read and check all requests; empty lines are skipped.

    Args:
        path: NDJSON.
        name: the name of the batch.

    Raises:
        RequestError: the file cannot be read, a line is not a valid request (`line N: ...`), or two have one `runId`.
    """
    found: list[BatchRequest] = []
    lines: dict[str, int] = {}
    for number, text in enumerate(_read(path).splitlines(), 1):
        if not text.strip():
            continue
        try:
            request, _ = parse(decode(text))
        except RequestError as error:
            raise RequestError("REQUESTS", f"line {number}: {error}") from error
        id = request.run_id or f"{name}-{number}"
        if id in lines:
            raise RequestError("REQUESTS", f"line {number}: its runId {id!r} is that of line {lines[id]}")
        lines[id] = number
        found.append(BatchRequest(number, id, request))
    return found


class BatchName:
    """The name of the batch that writes to a file of results: a stored one, or a new one.

    Args:
        results: the file of the results.
        requests: the file of the requests.

    Raises RequestError when the results are those of other requests.

    Attributes:
        stored: the name; None when the batch is new.
    """

    def __init__(self, results: Path, requests: Path) -> None:
        self._digest = hashlib.sha256(_read(requests)).hexdigest()
        self._path = results.with_name(f"{results.name}.batch")
        self.stored: str | None = None
        with suppress(FileNotFoundError):
            stored = json.loads(self._path.read_text("utf-8"))
            if stored["sha256"] != self._digest:
                other = f"{results} has results of other requests; name another file, or remove it"
                raise RequestError("-o", f"{other} and {self._path.name}")
            self.stored = str(stored["name"])

    def candidates(self) -> Iterator[str]:
        """Names for a new batch: the same for the same requests, in the same order."""
        first = f"batch-{self._digest[:8]}"
        yield first
        for number in itertools.count(1):
            yield f"{first}.{number}"

    def store(self, name: str) -> None:
        """Keep the name of a new batch. Raises RequestError when the folder cannot be written to."""
        _write(self._path, json.dumps({"name": name, "sha256": self._digest}))


class Results:
    """The file of results: one line for each request, its `complete` event with the number of the line in `line`.

    An incomplete line that a killed process has left is removed.

    Args:
        path: created when absent.

    Raises RequestError when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a+b")
            self._file.seek(0)
            data = self._file.read()
            self._file.truncate(data.rfind(b"\n") + 1)
        except OSError as error:
            raise RequestError(
                "-o", f"expected a file that can be written: {path} ({error.strerror})"
            ) from error
        self.stored: list[dict[str, Any]] = [json.loads(line) for line in data.split(b"\n")[:-1]]

    def add(self, line: int, complete: dict[str, Any]) -> None:
        """Append the result of a request; it is on disk when this returns."""
        result = {"line": line, **complete}
        self._file.write(f"{encode_line(result)}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.stored.append(result)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"expected a file that can be read: {path} ({error.strerror})"
        raise RequestError("REQUESTS", message) from error


def _write(path: Path, text: str) -> None:
    try:
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_text(text, "utf-8")
        temporary.rename(path)
    except OSError as error:
        raise RequestError(
            "-o", f"expected a folder that can be written: {path} ({error.strerror})"
        ) from error
