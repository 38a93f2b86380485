"""The codings of a response body (RFC 9110, 8.4.1): gzip and deflate, which may be nested."""

from __future__ import annotations

import zlib
from typing import Protocol

_AUTOMATIC, _RAW = 47, -15  # window bits: with the header of gzip or zlib, or without any
_DEFLATE_METHOD = 8  # in the first byte of the header of zlib (RFC 1950, 2.2)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class ContentDecoder:
    """Decodes a body in pieces. Other codings are left as they are.

    Args:
        codings: the value of the `Content-Encoding` header.
    """

    def __init__(self, codings: str) -> None:
        names = [name.strip().lower() for name in codings.split(",")]
        self._decompressors: list[_Decompressor] = [
            zlib.decompressobj(wbits=_AUTOMATIC) if name == "gzip" else _Deflate()
            for name in reversed(names)  # the last one was applied last
            if name in ("gzip", "deflate")
        ]

    def decode(self, piece: bytes) -> bytes:
        """Return what a piece of the body adds to the content. Raises zlib.error."""
        for each in self._decompressors:
            piece = each.decompress(piece)
        return piece


class _Deflate:
    """Some servers send `deflate` without the header of zlib that the standard asks for."""

    def __init__(self) -> None:
        self._inner: _Decompressor | None = None

    def decompress(self, data: bytes) -> bytes:
        if self._inner is None and data:
            has_header = data[0] & 0x0F == _DEFLATE_METHOD
            self._inner = zlib.decompressobj(wbits=_AUTOMATIC if has_header else _RAW)
        return self._inner.decompress(data) if self._inner else b""
