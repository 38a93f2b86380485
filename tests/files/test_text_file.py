"""Properties: whatever the bytes are, an edit changes nothing outside of its span."""

from __future__ import annotations

import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent_runtime.errors import ToolError
from agent_runtime.files.replace import insert, overwrite, replace
from agent_runtime.files.text_file import decode
from agent_runtime.files.text_match import find

ENDS = ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16", "utf-32", "latin-1", "cp1252")
WORDS = st.text(alphabet="abc xyé“\t{}\u2028\x0b", max_size=12)


@st.composite
def texts(draw: st.DrawFn, ends: tuple[str, ...] = ENDS) -> str:
    lines = draw(st.lists(WORDS, min_size=1, max_size=12))
    return "".join(line + draw(st.sampled_from(ends)) for line in lines) + draw(WORDS)


@given(data=st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_survive_decoding_and_encoding(data: bytes) -> None:
    file = decode(data)
    assert file.encoding.bom + file.encode(file.text) == data
    assert "".join(file.pieces) == file.text
    assert len(file.pieces) == len(file.lines)


@given(
    text=texts(),
    encoding=st.sampled_from(ENCODINGS),
    start=st.integers(0, 60),
    size=st.integers(1, 30),
    new=WORDS,
)
@settings(max_examples=300, deadline=None)
def test_bytes_outside_the_edit_are_unchanged(
    text: str, encoding: str, start: int, size: int, new: str
) -> None:
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    file = decode(data)
    old = file.plain[start : start + size]
    assume(old and old != new and file.plain.count(old) == 1)
    low, high = file.offset(file.plain.index(old)), file.offset(file.plain.index(old) + len(old))
    before = file.encoding.bom + file.encode(file.text[:low])
    after = file.encode(file.text[high:])
    try:
        done = replace(file, "f", old=old, new=new, every=False).data
    except ToolError as error:
        assert re.search("which has no|is not known|matches", str(error))
        return
    assert done.startswith(before)
    assert done.endswith(after)
    assert len(done) >= len(before) + len(after)
    assert file.encode(new) == done[len(before) : len(done) - len(after)] or "\n" in old + new


@given(data=st.binary(max_size=200), start=st.integers(0, 100), size=st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_outside_the_edit_are_unchanged(data: bytes, start: int, size: int) -> None:
    file = decode(data)
    old = file.plain[start : start + size]
    assume(old and file.plain.count(old) == 1 and not any("\ud800" <= char <= "\udfff" for char in old))
    at = file.plain.index(old)
    before = file.encoding.bom + file.encode(file.text[: file.offset(at)])
    after = file.encode(file.text[file.offset(at + len(old)) :])
    try:
        done = replace(file, "f", old=old, new="new", every=False).data
    except ToolError as error:
        assert "matches" in str(error) or "nothing to change" in str(error)
        return
    assert done == before + file.encode("new") + after


@given(text=texts(ends=("\n", "\r\n")), keep=st.integers(0, 12), new=st.lists(WORDS, min_size=1, max_size=3))
@settings(deadline=None)
def test_kept_lines_of_a_mixed_file_keep_their_own_ends(text: str, keep: int, new: list[str]) -> None:
    file = decode(text.encode())
    assume(keep < len(file.lines))
    head, tail = file.lines[:keep], file.lines[keep + 1 :]
    end = "\n" if file.plain.endswith("\n") else ""
    content = "\n".join([*head, *new, *tail]) + end
    assume("\r" not in content)
    done = decode(overwrite(file, "f", content=content).data)
    assert done.plain == content
    assert "".join(file.pieces[:keep]) == done.text[: sum(map(len, file.pieces[:keep]))]


@given(text=texts(), after=st.integers(0, 14), new=WORDS.filter(bool), encoding=st.sampled_from(ENCODINGS))
@settings(deadline=None)
def test_inserting_leaves_all_other_bytes(text: str, after: int, new: str, encoding: str) -> None:
    try:
        data = text.encode(encoding)
        new.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
    file = decode(data)
    assume(after <= len(file.lines))
    try:
        done = insert(file, "f", after=after, text=new).data
    except ToolError as error:
        assert re.search("which has no|is not known", str(error))
        return
    at = len(file.encoding.bom) + len(file.encode("".join(file.pieces[:after])))
    assert done[:at] == data[:at]
    assert done[len(done) - (len(data) - at) :] == data[at:]
    assert new in decode(done, file.encoding).plain


@given(
    lines=st.lists(st.text(alphabet="ab ", max_size=3), min_size=1, max_size=6),
    blank=st.integers(0, 4),
    end=st.sampled_from(["\n", "\r\n", "\r\r\n", "\r"]),
    new=st.lists(st.text(alphabet="xy", min_size=1, max_size=3), min_size=1, max_size=3),
    after=st.integers(0, 10),
)
@settings(deadline=None)
def test_every_new_line_has_one_line_end(
    lines: list[str], blank: int, end: str, new: list[str], after: int
) -> None:
    """However many blank lines are before or after it, and whatever the line ends of the file are."""
    lines = [*lines, *[""] * blank]
    file = decode("".join(line + end for line in lines).encode())
    assume(after <= len(lines))
    added = "".join(line + "\n" for line in new)
    expected = "".join(line + end for line in [*lines[:after], *new, *lines[after:]]).encode()
    assert insert(file, "f", after=after, text=added).data == expected
    head, tail = (f"{'|'.join(some)}|".replace("|", "\n") for some in (lines[:after], lines[after:]))
    if after < len(lines) and len(find(file.plain, tail).spans) == 1:
        assert replace(file, "f", old=tail, new=added + tail, every=False).data == expected
    if after and len(find(file.plain, head).spans) == 1:
        assert replace(file, "f", old=head, new=head + added, every=False).data == expected
