"""The text of a patch that `git apply` takes, in a repository or not. Format: git's diff-format page.

Text goes into hunks. What has no lines (binary files), or whose old content nobody has any more, goes into a
`GIT binary patch`: it names the old content by its id alone, and git checks that id before it applies.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent_runtime.git.diff import hunks
from agent_runtime.git.objects import UNKNOWN
from agent_runtime.system.byte_paths import is_text

LITERAL_LIMIT = 64 << 20  # bytes; larger files are named by their hash alone
_LINES_LIMIT = 32 << 20  # bytes on both sides; beyond, lines are not compared
_NO_ID = "0" * 40
_LINE = 52  # bytes in a full line of a literal

_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
_PLAIN = re.compile(rb'(?!.* /)[^\x00-\x1f\x7f"\\]*')  # git stumbles over a bare " /" in its own header


@dataclass(frozen=True)
class Side:
    """A file before or after. `data` is None where the content is lost. A symlink's is its target."""

    path: bytes
    mode: int
    oid: bytes
    data: bytes | None
    opaque: bool = False  # nobody kept it, for being binary or large

    @property
    def binary(self) -> bool:
        """Known to be no text: a NUL somewhere."""
        return self.opaque if self.data is None else b"\0" in self.data


@dataclass(frozen=True)
class Patch:
    """`text` is empty when the change cannot be put into a patch at all."""

    text: bytes
    additions: int = 0
    deletions: int = 0
    binary: bool = False


def make_patch(old: Side | None, new: Side | None) -> Patch:
    """From one side to the other: None is a file that is not there. Different paths make a rename."""
    if old and new and (old.mode == 0o120000) != (new.mode == 0o120000):
        gone, come = make_patch(old, None), make_patch(None, new)  # git has no patch from a file to a symlink
        whole = gone.text + come.text if gone.text and come.text else b""
        return Patch(whole, come.additions, gone.deletions, gone.binary or come.binary)
    header = _head(old, new)
    if old and new and old.oid == new.oid != UNKNOWN:
        return Patch(header, binary=new.binary)
    binary = bool((old and old.binary) or (new and new.binary))
    before, after = (old.data if old else b""), (new.data if new else b"")
    if binary or before is None or after is None or _too_long(old, new, before, after):
        body = _literal(old, new, after)
        return Patch(header + body if body else b"", binary=binary)
    changes = hunks(before, after)
    return Patch(header + _names(old, new, changes.text), changes.additions, changes.deletions)


def long_patch(old: Side | None, new: Side, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same, piece by piece, where the new content is too large for one: a `GIT binary patch`, of text too."""
    if old and old.mode == 0o120000:
        yield make_patch(old, None).text
        old = None
    yield _head(old, new) + _literal_head(old, new, size)
    packer, packed = zlib.compressobj(1), b""
    for chunk in chunks:
        packed += packer.compress(chunk)
        whole = len(packed) // _LINE * _LINE
        yield _base85(packed[:whole])
        packed = packed[whole:]
    yield _base85(packed + packer.flush()) + b"\n"


def quoted(path: bytes) -> bytes:
    """As git writes it: in C quotes, with octal escapes, when it has control characters or is not UTF-8."""
    plain = is_text(path) and _PLAIN.fullmatch(path)
    return path if plain else b'"' + "".join(map(_escaped, path)).encode() + b'"'


def _escaped(byte: int) -> str:
    if byte in _ESCAPES:
        return "\\" + _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"


def _head(old: Side | None, new: Side | None) -> bytes:
    return b"".join(line + b"\n" for line in _header(old, new))


def _header(old: Side | None, new: Side | None) -> Iterator[bytes]:
    source, target = (old or new), (new or old)
    assert source and target
    yield b"diff --git " + quoted(b"a/" + source.path) + b" " + quoted(b"b/" + target.path)
    if old is None:
        yield b"new file mode %o" % target.mode
    elif new is None:
        yield b"deleted file mode %o" % source.mode
    elif old.mode != new.mode:
        yield b"old mode %o" % old.mode
        yield b"new mode %o" % new.mode
    if source.path != target.path:
        if source.oid == target.oid:
            yield b"similarity index 100%"
        yield b"rename from " + quoted(source.path)
        yield b"rename to " + quoted(target.path)


def _names(old: Side | None, new: Side | None, text: bytes) -> bytes:
    if not text:
        return b""
    return b"--- %b\n+++ %b\n%b" % (_name(b"a/", old), _name(b"b/", new), text)


def _name(prefix: bytes, side: Side | None) -> bytes:
    if side is None:
        return b"/dev/null"
    name = quoted(prefix + side.path)
    # without the tab a reader stops at the space
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name


def _too_long(old: Side | None, new: Side | None, before: bytes, after: bytes) -> bool:
    return bool(old and new) and len(before) + len(after) > _LINES_LIMIT


def _literal(old: Side | None, new: Side | None, data: bytes | None) -> bytes:
    if (
        data is None
        or len(data) > LITERAL_LIMIT
        or (old and old.oid == UNKNOWN)
        or (new and new.oid == UNKNOWN)
    ):
        return b""
    return _literal_head(old, new, len(data)) + _base85(zlib.compress(data)) + b"\n"


def _literal_head(old: Side | None, new: Side | None, size: int) -> bytes:
    names = f"index {old.oid.hex() if old else _NO_ID}..{new.oid.hex() if new else _NO_ID}"
    mode = f" {new.mode:o}" if old and new and old.mode == new.mode else ""
    return f"{names}{mode}\nGIT binary patch\nliteral {size}\n".encode()


def _base85(data: bytes) -> bytes:
    out = bytearray()
    for at in range(0, len(data), _LINE):
        chunk = data[at : at + _LINE]
        length = len(chunk)
        out.append(length + 64 if length <= 26 else length - 26 + 96)
        out += base64.b85encode(chunk, pad=True) + b"\n"
    return bytes(out)
