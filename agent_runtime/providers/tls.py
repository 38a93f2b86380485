"""The certificates that are trusted. Reading them takes 20 ms: a process does it once, a standby before its runs."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

# where systems have them, for a Python whose OpenSSL was built for other folders
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def trusted() -> ssl.SSLContext:
    """The context with SSL_CERT_FILE or SSL_CERT_DIR, else the system's certificates. Raises OSError if unreadable."""
    return _read(os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None)


def _has_certificates(folder: str | None) -> bool:
    """Return whether OpenSSL finds certificates there, by their names: the hash of the subject, and a number."""
    return folder is not None and any(Path(folder).glob("?" * 8 + ".[0-9]"))


@cache
def _read(file: str | None, folder: str | None) -> ssl.SSLContext:
    default = ssl.get_default_verify_paths()
    known = file or folder or default.cafile or _has_certificates(default.capath)
    try:
        return ssl.create_default_context(
            cafile=file if known else next(filter(os.path.isfile, _SYSTEM_FILES), None),
            capath=None if file else folder,
        )
    except OSError as error:
        given = (
            f"SSL_CERT_FILE {file}"
            if file
            else f"SSL_CERT_DIR {folder}"
            if folder
            else "the system's certificates"
        )
        raise OSError(f"{given}: {error.strerror or error}") from error
