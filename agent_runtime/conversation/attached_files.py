"""Files that a user attaches to a message: texts, and documents whose format some models read."""

from __future__ import annotations

import base64
import codecs
from pathlib import Path

from agent_runtime.conversation.pdf_text import pdf_text
from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import OFFICE, Document, Text, clean_text
from agent_runtime.system.safe_open import read_bounded
from agent_runtime.text_encoding import Encoding, detect

MAX_FILE_TEXT = 256 << 10  # bytes of a text file that are put into the conversation
MAX_DOCUMENT = 12 << 20  # bytes; as base64 it leaves room for images in a request of 32 MB
MAX_PDF = 32 << 20  # bytes of a PDF whose text is extracted
_PAGE_BYTES = 64 << 10  # of a PDF whose pages are not counted
_CUT = "\n[cut here; read the rest with your tools]"
_PATH_ONLY = "the model gets the path only"

# how office files begin: ZIP, and Microsoft's older format
_CONTAINERS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True)
class Attached:
    """A file for the model. `notice` says what of it no model gets; it may be empty."""

    block: Text | Document
    notice: str = ""


def attach(field: str, path: Path) -> Attached:
    """Return a file as text, decoded as the tools do, or as a document.

    A document is a PDF or an office file. It contains the text that is sent to models which do not read its format: of
    a PDF what the program `pdftotext` finds, where that is installed. Of other binary files the model learns the path.

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
    if "\0" in text or data.startswith(_CONTAINERS):
        return _binary(field, path)
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
        hint = f"{_PATH_ONLY}, because the PDF is larger than {MAX_PDF:,} bytes"
        return Attached(_named(path, "It is a large PDF"), f"{path}: {hint}")
    found = pdf_text(data, MAX_FILE_TEXT)
    if found.problem:
        text, loss = _named(path, "It is a PDF"), f"{_PATH_ONLY}, because {found.problem}"
    else:
        text = _enclosed(path, found.text + (_CUT if found.is_cut else ""))
        loss = "the model gets the text of the PDF, without its images and layout"
    if len(data) > MAX_DOCUMENT:
        return Attached(text, f"{path}: {loss}")
    pages = found.pages or -(-len(data) // _PAGE_BYTES)
    return Attached(_document(path, "application/pdf", data, text, pages=pages, loss=loss))


def _binary(field: str, path: Path) -> Attached:
    text, loss = _named(path, "It is binary"), f"{_PATH_ONLY}: the file is binary"
    media_type = OFFICE.get(path.suffix.lower())
    if media_type and len(data := read_file(field, path, MAX_DOCUMENT)) <= MAX_DOCUMENT:
        return Attached(_document(path, media_type, data, text, pages=1, loss=loss))
    return Attached(text, f"{path}: {loss}")


def _document(path: Path, media_type: str, data: bytes, text: Text, *, pages: int, loss: str) -> Document:
    return Document(
        media_type=media_type,
        path=clean_text(str(path)),
        data=base64.b64encode(data).decode(),
        pages=pages,
        text=text.text,
        loss=loss,
    )


def _enclosed(path: Path, text: str) -> Text:
    return Text(text=f'<file path="{path}">\n{text}\n</file>')


def _named(path: Path, what: str) -> Text:
    return Text(text=f"[The user attached the file {path}. {what}; look at it with your tools.]")
