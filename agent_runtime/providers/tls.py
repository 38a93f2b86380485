"""The certificates that are trusted. Reading them takes 20 ms: a process does it once, a standby before its runs."""

from __future__ import annotations

import os
import ssl
from functools import cache

import httpx2


def trusted() -> ssl.SSLContext:
    """The context with SSL_CERT_FILE or SSL_CERT_DIR, else the system's certificates. Raises OSError if unreadable."""
    return _read(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _read(file: str | None, folder: str | None) -> ssl.SSLContext:  # httpx2 reads the variables itself
    try:
        return httpx2.create_ssl_context()
    except OSError as error:
        given = (
            f"SSL_CERT_FILE {file}"
            if file
            else f"SSL_CERT_DIR {folder}"
            if folder
            else "the system's certificates"
        )
        raise OSError(f"{given}: {error.strerror or error}") from error
