"""The text of a patch that `git apply` takes, in a repository or not. Format: git's diff-format page.

Text is written as hunks. Small binary files, and texts whose old content was not kept, are written as a `GIT binary
patch`, which names the old content by its id alone; git checks that id before it applies the patch.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator

from agent_runtime.git.diff import CONTEXT, changed_part, hunks, split_lines
from agent_runtime.git.objects import BINARY_LIMIT, UNKNOWN
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.system.byte_paths import is_text, open_quietly

APPENDED_LIMIT = 64 << 20  # bytes that a text may have grown by
# Bytes between the equal beginning and end of both sides; beyond, lines are not compared.
_LINES_LIMIT = 16 << 20
_CONTEXT_BYTES = 1 << 16  # at the end of a text, in which its last lines are looked for
_NO_ID = "0" * 40
_LINE, _ENCODED = 52, 65  # bytes in a full line of a literal, and what they are encoded as
_LENGTHS = [bytes([64 + length if length <= 26 else 70 + length]) for length in range(_LINE + 1)]

_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
_PLAIN = lazy_pattern(rb'(?!.* /)[^\x00-\x1f\x7f"\\]*')  # git misreads an unquoted " /" in its own header


@dataclass(frozen=True)
class Side:
    """A file before or after. `data` is None where the content was not kept; for a symlink it is the target."""

    path: bytes
    mode: int
    oid: bytes
    data: bytes | None
    opaque: bool = False  # its content was not kept because it is binary or large

    @property
    def binary(self) -> bool:
        """Whether it is known not to be text: it has a NUL."""
        return self.opaque if self.data is None else b"\0" in self.data


@dataclass(frozen=True)
class Patch:
    """A patch of one file. `text` is empty when no patch can express the change, or when it is `long`."""

    text: bytes
    additions: int = 0
    deletions: int = 0
    binary: bool = False
    long: bool = False  # a text for `long_patch`


def make_patch(old: Side | None, new: Side | None) -> Patch:
    """Return the patch from one side to the other. None: the file does not exist. Different paths make a rename."""
    if old and new and (old.mode == 0o120000) != (new.mode == 0o120000):
        # no patch turns a file into a symlink
        deletion, creation = make_patch(old, None), make_patch(None, new)
        whole = deletion.text + creation.text if deletion.text and creation.text else b""
        return Patch(whole, creation.additions, deletion.deletions, deletion.binary or creation.binary)
    header = _head(old, new)
    if old and new and old.oid == new.oid != UNKNOWN:
        return Patch(header, binary=new.binary)
    binary = bool((old and old.binary) or (new and new.binary))
    before, after = (old.data if old else b""), (new.data if new else b"")
    if not binary and new and after and len(after) > BINARY_LIMIT and _needs_literal(old, new, before, after):
        return Patch(b"", long=True)
    if binary or before is None or after is None or _needs_literal(old, new, before, after):
        body = _literal(old, new, after)
        return Patch(header + body if body else b"", binary=binary)
    changes = hunks(before, after)
    return Patch(header + _names(old, new, changes.text), changes.additions, changes.deletions)


def long_patch(old: Side | None, new: Side, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a `GIT binary patch` piece by piece, for a new content that is too large for memory."""
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


def appended_patch(old: Side, new: Side, sizes: tuple[int, int], path: bytes) -> Patch | None:
    """Return the patch of a text that only grew by whole lines at its end, where the old content was not kept.

    Args:
        old: before; its id says whether the file still begins with it.
        new: after.
        sizes: bytes of both contents.
        path: the file now.

    Returns:
        None when it did not grow so, when it grew by more than fits in memory, or when it cannot be read.
    """
    size, new_size = sizes
    if old.mode != new.mode or old.path != new.path or not 0 < new_size - size <= APPENDED_LIMIT:
        return None
    before, after = (hashlib.sha1(b"blob %d\0" % length, usedforsecurity=False) for length in sizes)
    lines, last = 0, b""
    try:
        with open(path, "rb", opener=open_quietly) as file:
            while size and (chunk := file.read(min(size, 1 << 20))):
                size -= len(chunk)
                before.update(chunk)
                after.update(chunk)
                lines += chunk.count(b"\n")
                last = (last + chunk)[-_CONTEXT_BYTES:]
            added = file.read(new_size - sizes[0])
    except OSError:
        return None
    after.update(added)
    context = split_lines(last)[1:][-CONTEXT:]  # the first line may be incomplete
    if (before.digest(), after.digest()) != (old.oid, new.oid) or not last.endswith(b"\n") or not context:
        return None
    known = b"".join(context)
    changes = hunks(known, known + added, lines_before=lines - len(context))
    return Patch(_head(old, new) + _names(old, new, changes.text), changes.additions)


def quoted(path: bytes) -> bytes:
    """Return a path as git writes it: in C quotes, with octal escapes, if it has control characters or is not UTF-8."""
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


def _needs_literal(old: Side | None, new: Side | None, before: bytes | None, after: bytes) -> bool:
    if before is None:
        return True
    if not (old and new) or len(before) + len(after) <= _LINES_LIMIT:
        return False
    part = changed_part(before, after)
    return part.old_end + part.new_end - 2 * part.start > _LINES_LIMIT


def _literal(old: Side | None, new: Side | None, data: bytes | None) -> bytes:
    if (
        data is None
        or len(data) > BINARY_LIMIT
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
    out: list[bytes] = []
    for at in range(0, len(data), _LINE * 1000):  # one call for many lines: each has some overhead
        lines = data[at : at + _LINE * 1000]
        encoded = base64.b85encode(lines, pad=True)
        for line in range(0, len(lines), _LINE):
            length = min(_LINE, len(lines) - line)
            start = line // _LINE * _ENCODED
            out += (_LENGTHS[length], encoded[start : start + _ENCODED], b"\n")
    return b"".join(out)
