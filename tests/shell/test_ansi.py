from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.shell.ansi import clean
from agent_runtime.shell.truncation import OutputStore, decode_head, whole_tail


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("plain\n", "plain\n"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("long line\rshort\n", "shortline\n"),
        ("long line\r\x1b[Kshort\n", "short\n"),
        ("long line\r\x1b[2Kshort", "short"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("twice\r\r\n", "twice\n"),
        ("spin |\b/\b-\b\\\b done", "spin  done"),
        ("b\bbo\bol\bld", "bold"),
        ("\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mx\x1b[m", "red x"),
        ("\x1b]0;title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "text link"),
        ("\x1b(B\x1b=\x1b7a\x1b8\x1b>", "a"),
        ("\x1bP+q544e\x1b\\x", "x"),
        ("a\0b\x07c\x7fd\x9be", "a\ufffdbcde"),
        ("page\x0cnext", "page\nnext"),
        ("a\vb\r\x1b[Kc\vd", "a\nc\nd"),
        ("tab\tstays", "tab\tstays"),
        ("\u2028\u2029\x85", "\u2028\u2029"),
        ("cut \x1b[3", "cut 3"),
        ("\x1b[2K\x1b[1Gfile 1\x1b[2K\x1b[1Gfile 2", "file 2"),
        ("10%\x1b[1000D20%\x1b[1000D30%", "30%"),
        ("ab\x1b[5Gc\x1b[3`d\x1b[2Ce", "abd ce"),
        ("abc\x1b[2D\x1b[1Px", "ax"),
        ("abcdef\r\x1b[2Xx", "x cdef"),
        ("ac\x1b[D\x1b[@b", "abc"),
        ("a\x1b[s 10%\x1b[u 20%\x1b7x\x1b8!", "a 20%!"),
        ("漢字\ra", "a 字"),
        ("e\u0301\bx", "x"),
        ("⚠\ufe0f Warning\r✔\ufe0f done   \x1b[K", "✔\ufe0f done"),
        ("a\tb\rX", "X\tb"),
        ("a\tb\r\tc", "a\tc"),
        ("abc\x1b[2J\x1b[H\x1b[3;4rdef", "abcdef"),
        ("a\x1bXhidden\x1b\\b\x1b^hidden\x1b\\c\x1b_hidden\x1b\\d", "abcd"),
        ("a\x1b[4:3m\x1b[58:2::255:0:0mb\x1b[?2026$p\x1b[!pc\x1b[>4;2m", "abc"),
    ],
)
def test_output_is_cleaned_to_what_a_terminal_shows(printed: str, seen: str) -> None:
    assert clean(printed) == seen


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("one\rtwo\rthree\r", "one\ntwo\nthree"),
        ("import os\r\rdef f():\r    return 1\r", "import os\n\ndef f():\n    return 1"),
        ("# Title\r\rSome text.\r\r- a list\rThe end", "# Title\n\nSome text.\n\n- a list\nThe end"),
        (
            "".join(f"Receiving objects: {n}% ({n}/100)\r" for n in range(101)),
            "Receiving objects: 100% (100/100)",
        ),
        ("".join(f"Compiling {name} v1\r" for name in ("libc", "rand", "serde")), "Compiling serde v1"),
        ("".join(f"{sign} Installing\r" for sign in "⠋⠙⠹"), "⠹ Installing"),
        ("|\r/\r-\r\\\r", "\\"),
        ("10%\r20%\r30%\r   \r", "   "),
        ("  1.2M  10% 00:01\r  2.4M  20% 00:02\r 12.0M 100% done.", " 12.0M 100% done."),
        ("long line\rshort", "shortline"),
    ],
)
def test_carriage_returns_as_line_ends(printed: str, seen: str) -> None:
    assert clean(printed) == seen


@given(st.text(alphabet=st.sampled_from("ab\r\n\b\x1b[K2;m]\x07 \0é😀")))
def test_cleaning_is_by_line_and_stable(text: str) -> None:
    lines = [clean(line) for line in text.split("\n")]
    assert clean(text) == "\n".join(lines)
    assert not set(clean(text)) & set("\r\b\x1b\x07\0")


def test_a_long_line_of_backspaces_takes_linear_time() -> None:
    assert clean("." * 100_000 + "|\b/\b-\b" * 100_000) == "." * 100_000 + "-"


@given(st.text(), st.integers(0, 40))
def test_halves_of_characters_are_left_out(text: str, at: int) -> None:
    data = text.encode("utf-8", "replace")
    assert "\ufffd" not in decode_head(data[:at]).replace("?", "") or "\ufffd" in text
    assert "\ufffd" not in whole_tail(data[at:]).decode("utf-8", "replace") or "\ufffd" in text


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ("a\x1b[2", "a"),
        ("a\x1b", "a"),
        ("a\x1b]0;title", "a"),
        ("a\x1b[31mb", "a\x1b[31mb"),
        ("\x1b[\nb", "\x1b[\nb"),
    ],
)
def test_a_control_sequence_that_is_cut_is_left_out_of_the_head(head: str, kept: str) -> None:
    assert decode_head(head.encode()) == kept


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        ("2K\x1b[1Gfile", "\x1b[1Gfile"),
        ("m red\nline\n", "line\n"),
        ("plain", "plain"),
        ("x" * 5000 + "\n", "x" * 5000 + "\n"),
    ],
)
def test_a_line_that_is_cut_is_left_out_of_the_tail(tail: str, kept: str) -> None:
    assert whole_tail(tail.encode()).decode() == kept


def test_output_beyond_the_budget_is_truncated_and_stored(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = OutputStore(tmp_path_factory.mktemp("out") / "deep")
    whole = store.fit("short\ud800", tokens=10, call_id="a")
    assert (whole.text, whole.truncated, whole.output_file) == ("short\ufffd", False, None)
    text = "\n".join(f"line {n}" for n in range(100))
    fitted = store.fit(text, tokens=10, call_id="b")
    path = str(store.directory / "b.log")
    assert fitted.text == (
        f"line 0\nline 1\n[... {len(text) - 29} bytes (96 lines) cut here; "
        f"the whole output is in {path} ...]\nline 98\nline 99"
    )
    assert (fitted.truncated, fitted.output_bytes, fitted.output_file) == (True, len(text), path)
