"""Diffs as they are displayed: numbered lines of whatever a `file_edit` may hold."""

from __future__ import annotations

import hashlib
import random

import pytest

from agent_runtime.cli.diff_view import DiffLine, diff_lines
from agent_runtime.git.patch import Side, make_patch

FILE, PROGRAM, LINK = 0o100644, 0o100755, 0o120000


def side(data: bytes, path: bytes = b"f", mode: int = FILE) -> Side:
    return Side(path, mode, hashlib.sha1(data).digest(), data)


def rendered(old: Side | None, new: Side | None) -> list[tuple[str, int | None, int | None, str]]:
    text = make_patch(old, new).text.decode()
    return [(line.kind, line.old, line.new, line.text) for line in diff_lines(text)]


def test_lines_are_numbered_on_both_sides() -> None:
    old = side(b"".join(b"%d\n" % n for n in range(1, 31)))
    new = side(b"".join(b"%d\n" % n for n in (1, 20, 21, *range(3, 29), 30)))
    assert rendered(old, new) == [
        ("hunk", None, None, "@@ -1,5 +1,6 @@"),
        ("same", 1, 1, " 1"),
        ("del", 2, None, "-2"),
        ("add", None, 2, "+20"),
        ("add", None, 3, "+21"),
        ("same", 3, 4, " 3"),
        ("same", 4, 5, " 4"),
        ("same", 5, 6, " 5"),
        ("hunk", None, None, "@@ -26,5 +27,4 @@"),
        ("same", 26, 27, " 26"),
        ("same", 27, 28, " 27"),
        ("same", 28, 29, " 28"),
        ("del", 29, None, "-29"),
        ("same", 30, 30, " 30"),
    ]


def test_content_that_looks_like_a_header_is_shown_as_content() -> None:
    """A removed `-- x` is `--- x` in a diff; form feeds, CRs and U+2028 end no line."""
    assert rendered(side(b"-- x\n++ y\nz\n"), side(b"z\x0c\xe2\x80\xa8\r\n"))[1:] == [
        ("del", 1, None, "--- x"),
        ("del", 2, None, "-++ y"),
        ("del", 3, None, "-z"),
        ("add", None, 1, "+z\x0c\u2028\r"),
    ]


@pytest.mark.parametrize(
    "name", [b"f", b"with space", b'quo"te', b"new\nline", b"\xe9\xff", "é".encode(), b"a b/x"]
)
def test_mode_changes_and_renames_are_header_lines(name: bytes) -> None:
    moved = b"to/" + name
    assert rendered(side(b"1\n2", name), side(b"1\n3", moved, PROGRAM))[:3] == [
        ("head", None, None, "old mode 100644"),
        ("head", None, None, "new mode 100755"),
        ("head", None, None, rendered(side(b"", name), side(b"", moved))[1][3]),
    ]
    assert [line for line in rendered(side(b"1\n2", name), side(b"1\n3", moved)) if line[0] != "head"] == [
        ("hunk", None, None, "@@ -1,2 +1,2 @@"),
        ("same", 1, 1, " 1"),
        ("del", 2, None, "-2"),
        ("add", None, 2, "+3"),
    ]
    assert rendered(None, side(b"", name)) == [("head", None, None, "new file mode 100644")]
    assert ("head", None, None, "\\ No newline at end of file") in rendered(None, side(b"x", name))


def test_a_file_replaced_by_a_symlink_is_a_deletion_and_a_creation() -> None:
    assert rendered(side(b"1\n"), side(b"g", mode=LINK)) == [
        ("head", None, None, "deleted file mode 100644"),
        ("hunk", None, None, "@@ -1,1 +0,0 @@"),
        ("del", 1, None, "-1"),
        ("head", None, None, "new file mode 120000"),
        ("hunk", None, None, "@@ -0,0 +1,1 @@"),
        ("add", None, 1, "+g"),
        ("head", None, None, "\\ No newline at end of file"),
    ]


def test_a_truncated_diff_keeps_its_line_numbers() -> None:
    """At whatever byte: every whole line before the cut is there, as in the whole."""
    old = side(b"".join(b"%d\n" % n for n in range(40)), b"a b/x")
    new = side(b"".join(b"%d\n" % (n if n % 9 else n + 1000) for n in range(40)) + b"end", b"a b/x")
    text = make_patch(old, new).text.decode()
    whole = [line for line in diff_lines(text) if line.kind != "hunk"]
    assert [line.old for line in whole if line.kind == "del"] == [1, 10, 19, 28, 37]
    for cut in range(text.index("@@"), len(text)):
        found = [line for line in diff_lines(text[:cut]) if line.kind != "hunk"]
        complete = text[:cut].count("\n", text.index("@@")) - text[:cut].count("\n@@ ")
        if complete > 0:
            assert found[:complete] == whole[: len(found[:complete])], cut
            assert len(found) >= min(complete, len(whole)) - 1, cut


@pytest.mark.parametrize(
    "text", ["", "no diff\nat all\n", "@@ ", "@@ -1 +1 @@\n+x", "diff --git a/x b/x\n", "\\ No", "\n\n"]
)
def test_text_that_is_not_a_diff_is_returned_unchanged(text: str) -> None:
    lines = [line.text for line in diff_lines(text)]
    assert lines == ([] if not text else text.removesuffix("\n").split("\n"))


def test_damaged_diffs_never_fail() -> None:
    rng = random.Random(1)
    whole = make_patch(
        side(b"1\n2\n3\n" * 9, b"a b"), side(b"1\n3\n" * 9 + b"x", b"a c", PROGRAM)
    ).text.decode()
    for _ in range(500):
        text = list(whole)
        for _ in range(rng.randint(1, 6)):
            text[rng.randrange(len(text))] = rng.choice("@+- \n\\d1,0\r\x00é")
        assert all(isinstance(line, DiffLine) for line in diff_lines("".join(text)))
