"""The JSON lines of a session file: plain or compressed, with damaged lines left out and counted."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any, NoReturn

from agent_runtime.errors import TranscriptError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import clean_text, too_deep

MAX_BYTES = 1 << 30  # of a file, uncompressed
_CHUNK = 1 << 20

Json = dict[str, Any]


@dataclass
class SessionLines:
    """The lines of a file.

    Attributes:
        values: the objects, in order.
        total: the number of lines that are not empty.
        damage: why lines were left out; the first reasons, each with the number of its line.
        damaged: the number of lines that were left out.
    """

    path: Path
    values: list[Json] = field(default_factory=list)
    total: int = 0
    damage: list[str] = field(default_factory=list)
    damaged: int = 0

    def leave_out(self, why: str) -> None:
        """Count a line that was left out."""
        self.damaged += 1
        if len(self.damage) < 3:
            self.damage.append(why)


def read_lines(path: Path, limit: int | None = None) -> SessionLines:
    """Return the lines of a file.

    Args:
        path: the file. It may be compressed by gzip, xz, bzip2 or zstd, whatever its name.
        limit: the number of bytes (uncompressed) to read; None for all.

    Raises:
        TranscriptError: the file cannot be read, or is larger than 1 GiB.
    """
    found = SessionLines(path)
    data = _content(path, limit or MAX_BYTES, found)
    if len(data) >= MAX_BYTES:
        raise TranscriptError(f"{path}: larger than {MAX_BYTES:,} bytes (uncompressed)")
    if whole := _document(data):
        found.values, found.total = [whole], 1
        return found
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip(b" \t\r\0"):
            found.total += 1
            try:
                found.values.append(_parsed(line))
            except (ValueError, RecursionError) as error:
                found.leave_out(f"line {number}: {error or type(error).__name__}")
    return found


def _document(data: bytes) -> Json | None:
    """Return the object in a file that is one JSON document; None for a file with one object per line."""
    head = data.lstrip()[:200]
    if not head.startswith(b"{") or head.split(b"\n", 1)[0].rstrip() != b"{":
        return None
    try:
        return _parsed(data)
    except (ValueError, RecursionError):
        return None


def _parsed(line: bytes) -> Json:
    text = line.decode("utf-8", "replace").strip(" \t\r\0\ufeff")
    value = json.loads(text, parse_constant=_refuse)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, found {type(value).__name__}")
    if too_deep(value, 150):
        raise ValueError("nested too deeply")
    cleaned: Json = _cleaned(value) if "\\u" in text else value
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _content(path: Path, limit: int, found: SessionLines) -> bytes:
    """Return at most `limit` bytes of the file, uncompressed. What follows damage in compressed data is lost."""
    if not path.is_file():  # reading a FIFO or a device could block forever
        what = "is not a regular file" if path.exists() else "there is no such file"
        raise TranscriptError(f"{path}: {what}; expected a session of codex or Claude Code")
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if head.startswith(b"\x28\xb5\x2f\xfd"):
            return _zstd(path, limit, found)
        opened = next((open for magic, open in _OPEN.items() if head.startswith(magic)), None)
        with (opened or open)(path, "rb") as file:
            return _read(file.read, limit, found)
    except OSError as error:
        raise TranscriptError(f"{path}: cannot be read: {error.strerror or error}") from error


_OPEN: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}


def _read(read: Callable[[int], bytes], limit: int, found: SessionLines) -> bytes:
    data = bytearray()
    try:
        while len(data) < limit and (chunk := read(min(_CHUNK, limit - len(data)))):
            data += chunk
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        found.leave_out(f"the compressed data is damaged after {len(data):,} bytes: {error}")
    return bytes(data)


def _zstd(path: Path, limit: int, found: SessionLines) -> bytes:
    """Decompress by the program `zstd`: Python has a module for it only since 3.14."""
    try:
        with subprocess.Popen(
            ["zstd", "-dcqf", "--", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout
            data = _read(process.stdout.read, limit, found)
            if len(data) >= limit:
                process.kill()
    except FileNotFoundError as error:
        hint = "install it (apt-get install zstd), or decompress the file first"
        raise TranscriptError(
            f"{path}: compressed by zstd, and the program zstd is missing: {hint}"
        ) from error
    if process.returncode and len(data) < limit:
        found.leave_out(f"the compressed data is damaged after {len(data):,} bytes")
    return data
