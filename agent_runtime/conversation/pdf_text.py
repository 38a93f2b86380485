"""The text of a PDF, by the program `pdftotext`."""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

_SECONDS = 20.0


class PdfText(NamedTuple):
    """What was found in a PDF.

    text: at most `limit` bytes of it.
    pages: how many there are; 0 when that is not known.
    problem: why there is no text; empty when there is.
    """

    text: str = ""
    pages: int = 0
    is_cut: bool = False
    problem: str = ""


def pdf_text(data: bytes, limit: int) -> PdfText:
    """Return the text of a PDF. Blocking, for at most 20 seconds."""
    try:
        done = subprocess.run(
            ["pdftotext", "-q", "-layout", "-enc", "UTF-8", "-", "-"],
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            env={"PATH": os.environ.get("PATH", os.defpath)},  # without the keys of this process
            check=False,
        )
    except FileNotFoundError:
        return PdfText(problem="pdftotext is not installed (apt-get install poppler-utils)")
    except (OSError, subprocess.TimeoutExpired) as error:
        return PdfText(problem=f"pdftotext failed: {error}")
    pages = done.stdout.count(b"\f")  # each page ends in one
    text = done.stdout[:limit].decode("utf-8", "replace").replace("\f", "\n\n").strip("\n")
    if not text.strip():
        return PdfText(pages=pages, problem="no text is found in the PDF")
    return PdfText(text, pages, is_cut=len(done.stdout) > limit)
