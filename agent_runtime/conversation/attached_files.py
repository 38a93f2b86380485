"""Files that a user attaches to a message, as text for the model."""

from __future__ import annotations

import codecs
import os
import subprocess
from pathlib import Path

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import Text
from agent_runtime.system.safe_open import read_bounded
from agent_runtime.text_encoding import Encoding, detect

MAX_FILE_TEXT = 256 << 10  # bytes of a text file that are put into the conversation
MAX_PDF = 32 << 20  # bytes
_PDF_SECONDS = 20.0
_CUT = "\n[cut here; read the rest with your tools]"


@dataclass(frozen=True)
class Attached:
    """A file for the model. `notice` says what of it the model does not get; it may be empty."""

    text: Text
    notice: str = ""


def attach(field: str, path: Path) -> Attached:
    """Return a file as text, decoded as the tools do.

    Of a PDF it is what the program `pdftotext` finds, where that is installed; of other binary files the model learns
    the path.

    Args:
        field: the part of the request, for errors.
        path: the file.

    Raises:
        RequestError: the file cannot be read.
    """
    data = read_file(field, path, MAX_FILE_TEXT)
    if data.startswith(b"%PDF-"):
        return _pdf(path, read_file(field, path, MAX_PDF))
    whole = len(data) <= MAX_FILE_TEXT
    encoding = detect(data[:MAX_FILE_TEXT], whole=whole)
    text = _decoded(data[:MAX_FILE_TEXT], encoding, whole=whole)
    if "\0" in text:
        hint = "the model gets the path only: the file is binary"
        return Attached(_named(path, "It is binary"), f"{path}: {hint}")
    more = "" if whole else _CUT
    if encoding.known:
        return Attached(_enclosed(path, text + more))
    hint = f"its encoding is {encoding.label}"
    return Attached(_enclosed(path, f"{text}{more}\n[{hint}]"), f"{path}: {hint}")


def read_file(field: str, path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a file, and one more when there are more.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        return read_bounded(path, limit)
    except OSError as error:
        raise RequestError(field, f"{path} cannot be read: {error.strerror or error}") from error


def _decoded(data: bytes, encoding: Encoding, *, whole: bool) -> str:
    decoder = codecs.getincrementaldecoder(encoding.codec)("replace")
    return decoder.decode(data[len(encoding.bom) :], whole)


def _pdf(path: Path, data: bytes) -> Attached:
    if len(data) > MAX_PDF:
        hint = f"the model gets the path only, because the PDF is larger than {MAX_PDF:,} bytes"
        return Attached(_named(path, "It is a large PDF"), f"{path}: {hint}")
    try:
        done = subprocess.run(
            ["pdftotext", "-q", "-layout", "-enc", "UTF-8", "-", "-"],
            input=data,
            capture_output=True,
            timeout=_PDF_SECONDS,
            env={"PATH": os.environ.get("PATH", os.defpath)},  # without the keys of this process
            check=False,
        )
    except FileNotFoundError:
        hint = (
            "the model gets the path only, because pdftotext is not installed (apt-get install poppler-utils)"
        )
        return Attached(_named(path, "It is a PDF"), f"{path}: {hint}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Attached(_named(path, "It is a PDF"), f"{path}: the model gets the path only: {error}")
    text = done.stdout[:MAX_FILE_TEXT].decode("utf-8", "replace").replace("\f", "\n\n")
    if not text.strip():
        hint = "the model gets the path only, because no text is found in the PDF"
        return Attached(_named(path, "It is a PDF in which no text was found"), f"{path}: {hint}")
    more = _CUT if len(done.stdout) > MAX_FILE_TEXT else ""
    hint = "the model gets the text of the PDF, without its images and layout"
    return Attached(_enclosed(path, text.strip("\n") + more), f"{path}: {hint}")


def _enclosed(path: Path, text: str) -> Text:
    return Text(text=f'<file path="{path}">\n{text}\n</file>')


def _named(path: Path, what: str) -> Text:
    return Text(text=f"[The user attached the file {path}. {what}; look at it with your tools.]")
