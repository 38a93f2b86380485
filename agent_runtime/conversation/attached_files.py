"""Files that a user attaches to a message: texts, and documents whose format some models read."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable
from pathlib import Path

from agent_runtime.conversation.pdf_text import pdf_text
from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import OFFICE, PDF, Document, Text, clean_text
from agent_runtime.system.safe_open import read_bounded
from agent_runtime.text_encoding import Encoding, detect

MAX_FILE_TEXT = 256 << 10  # bytes of a text file that are put into the conversation
MAX_DOCUMENT = 12 << 20  # bytes; as base64 it leaves space for images in a request of 32 MB
MAX_PDF = 32 << 20  # bytes of a PDF whose text is extracted
_PAGE_BYTES = 64 << 10  # of a PDF whose pages are not counted

_Read = Callable[[int], bytes]  # at most so many bytes of a file, and one more when there are more

# how office files begin: ZIP, and Microsoft's older format
_CONTAINERS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True)
class Attached:
    """A file for the model. `notice` says which part of it no model receives; it may be empty."""

    block: Text | Document
    notice: str = ""


def attach(field: str, path: Path) -> Attached:
    """Return a file as text, decoded as the tools do, or as a document.

    A document is a PDF or an office file. It contains the text that is sent to models which do not read its format: of
    a PDF what the program `pdftotext` finds, where that is installed. Of other binary files the model is given the path
    only.

    Args:
        field: the part of the request, for errors.
        path: the file.

    Raises:
        RequestError: the file cannot be read.
    """
    media_type = OFFICE.get(path.suffix.lower(), "")
    return _attached(_Source(str(path), media_type), lambda limit: read_file(field, path, limit))


def attach_data(name: str, media_type: str, data: bytes) -> Attached:
    """Return a file that is not on the disk, as `attach` does: the tools of the model cannot open it.

    Args:
        name: what the model knows it by: a name or a URI.
        media_type: as its sender has named it; of a PDF and of a text the content decides.
        data: the whole file.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in OFFICE.values():
        kind = OFFICE.get(Path(name).suffix.lower(), kind)
    return _attached(_Source(name, kind, is_on_disk=False), lambda limit: data[: limit + 1])


def read_file(field: str, path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a file, and one more when there are more.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        return read_bounded(path, limit)
    except OSError as error:
        raise RequestError(field, f"{path} cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class _Source:
    """A file. `media_type` is what its name or its sender says; empty when that is not known."""

    name: str
    media_type: str
    is_on_disk: bool = True

    @property
    def name_only(self) -> str:
        """What the model receives of a file that has no text."""
        return f"the model gets the {'path' if self.is_on_disk else 'name'} only"

    @property
    def cut(self) -> str:
        """The end of a text that is cut."""
        return (
            f"\n[cut here; {'read the rest with your tools' if self.is_on_disk else 'the rest is left out'}]"
        )

    def enclosed(self, text: str) -> Text:
        """Return the text of the file, with its name."""
        return Text(text=f'<file path="{self.name}">\n{text}\n</file>')

    def named(self, what: str) -> Text:
        """Return the text about a file that has none; `what` it is."""
        if self.is_on_disk:
            return Text(
                text=f"[The user attached the file {self.name}. It is {what}; look at it with your tools.]"
            )
        kind = f" ({self.media_type})" if self.media_type else ""
        return Text(text=f"[The content of {self.name}{kind} is left out: it is {what}.]")


def _attached(source: _Source, read: _Read) -> Attached:
    data = read(MAX_FILE_TEXT)
    if data.startswith(b"%PDF-"):
        return _pdf(source, read(MAX_PDF))
    whole = len(data) <= MAX_FILE_TEXT
    encoding = detect(data[:MAX_FILE_TEXT], whole=whole)
    text = _decoded(data[:MAX_FILE_TEXT], encoding, whole=whole)
    if "\0" in text or data.startswith(_CONTAINERS):
        return _binary(source, read)
    more = "" if whole else source.cut
    if encoding.known:
        return Attached(source.enclosed(text + more))
    hint = f"its encoding is {encoding.label}"
    return Attached(source.enclosed(f"{text}{more}\n[{hint}]"), f"{source.name}: {hint}")


def _decoded(data: bytes, encoding: Encoding, *, whole: bool) -> str:
    decoder = codecs.getincrementaldecoder(encoding.codec)("replace")
    return decoder.decode(data[len(encoding.bom) :], whole)


def _pdf(source: _Source, data: bytes) -> Attached:
    if len(data) > MAX_PDF:
        hint = f"{source.name_only}, because the PDF is larger than {MAX_PDF:,} bytes"
        return Attached(source.named("a large PDF"), f"{source.name}: {hint}")
    found = pdf_text(data, MAX_FILE_TEXT)
    if found.problem:
        text, loss = source.named("a PDF"), f"{source.name_only}, because {found.problem}"
    else:
        text = source.enclosed(found.text + (source.cut if found.is_cut else ""))
        loss = "the model gets the text of the PDF, without its images and layout"
    if len(data) > MAX_DOCUMENT:
        return Attached(text, f"{source.name}: {loss}")
    pages = found.pages or -(-len(data) // _PAGE_BYTES)
    return Attached(_document(source.name, PDF, data, text, pages=pages, loss=loss))


def _binary(source: _Source, read: _Read) -> Attached:
    text, loss = source.named("binary"), f"{source.name_only}: the file is binary"
    if source.media_type in OFFICE.values() and len(data := read(MAX_DOCUMENT)) <= MAX_DOCUMENT:
        return Attached(_document(source.name, source.media_type, data, text, pages=1, loss=loss))
    return Attached(text, f"{source.name}: {loss}")


def _document(name: str, media_type: str, data: bytes, text: Text, *, pages: int, loss: str) -> Document:
    return Document(
        media_type=media_type,
        path=clean_text(name),
        data=base64.b64encode(data).decode(),
        pages=pages,
        text=text.text,
        loss=loss,
    )
