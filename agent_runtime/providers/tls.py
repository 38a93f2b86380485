"""The certificates that are trusted. Reading them takes 20 ms: a process does it once, a standby ahead of its runs."""

from __future__ import annotations

import os
import ssl
from functools import cache

import httpx2


def trusted() -> ssl.SSLContext:
    """What the environment trusts: SSL_CERT_FILE or SSL_CERT_DIR, else the system. Raises OSError for what is none."""
    return _read(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _read(file: str | None, folder: str | None) -> ssl.SSLContext:  # they are read from the environment
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
