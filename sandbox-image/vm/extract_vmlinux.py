"""Extracts the ELF kernel from a bzImage, for Firecracker: extract_vmlinux.py VMLINUZ VMLINUX"""

from __future__ import annotations

import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path


def _xz(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)


def _gzip(data: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(data)


def _lz4(data: bytes) -> bytes:
    # what follows the kernel in the image is an error to the program, which has written the kernel by then
    return subprocess.run(["lz4", "-d", "-q", "-c"], input=data, capture_output=True, check=False).stdout


_FORMATS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\xfd7zXZ\0": _xz,
    b"\x1f\x8b\x08": _gzip,
    b"\x02\x21\x4c\x18": _lz4,
}


def extract(image: bytes) -> bytes:
    """Return the kernel. Raises ValueError when the image has none in a known format."""
    for magic, decompress in _FORMATS.items():
        at = image.find(magic)
        while at >= 0:
            try:
                kernel = decompress(image[at:])
            except (lzma.LZMAError, zlib.error):
                kernel = b""
            if kernel.startswith(b"\x7fELF"):
                return kernel
            at = image.find(magic, at + 1)
    raise ValueError("expected a bzImage with an ELF kernel that xz, gzip or lz4 has compressed")


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(extract(Path(sys.argv[1]).read_bytes()))
