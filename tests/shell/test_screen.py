"""What reaches the model of a program that draws: all that is not overwritten or erased, whatever it prints."""

from __future__ import annotations

import random
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.shell.screen import Screen, draws, render

SILENT = [  # sequences that place no text
    *("\x1b[31m", "\x1b[38;2;1;2;3m", "\x1b[4:3m", "\x1b[58:2::255:0:0m", "\x1b[m", "\x1b[>4;2m", "\x1b[?4m"),
    *("\x1b[?25l", "\x1b[?2004h", "\x1b[?1;2;3;9999h", "\x1b[?2026$p", "\x1b[4$p", "\x1b[!p", "\x1b[20h", "\x1b[>q"),
    *("\x1b[6n", "\x1b[?6n", "\x1b[5n", "\x1b[c", "\x1b[>c", "\x1b[=c", "\x1b[18t", "\x1b[14t", "\x1b[?u", "\x1b[>1u"),
    *("\x1b[4K", "\x1b[20J", "\x1b[3J", "\x1b[1 q", "\x1b[;;;;;;m", '\x1b["q', "\x1b[0;0;0;0;0$z", "\x1b[99999999999z"),
    *("\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1b]11;?\x1b\\", "\x1b]52;c;YQ==\x07", "\x1b]1337;x\x18"),
    *("\x1bP1$r0m\x1b\\", "\x1bP+q544e\x1b\\", "\x1bPq#0;2;0~~\x1b\\", "\x1bXsos\x1b\\", "\x1b^pm\x1b\\"),
    *("\x1b=", "\x1b>", "\x1b(B", "\x1b_Gapc\x1b\\", "\x1b*0", "\x1b#3", "\x1b%G", "\x1bN", "\0", "\a", "\x7f", "\x9b"),
]  # fmt: skip
words = st.text(
    st.sampled_from("abcXYZ019.,:;-_#~ ")
    | st.characters(categories=["L", "N", "S", "P", "Mn", "Me"], exclude_characters="\u3164\uffa0"),
    max_size=90,
)


@given(st.lists(st.lists(words | st.sampled_from(SILENT), max_size=6), min_size=1, max_size=90))
def test_all_text_that_is_not_overwritten_is_rendered(lines: list[list[str]]) -> None:
    """The text alone, without what places no text; long lines are whole, and so are those that scrolled out."""
    printed = "\x1b[2J\x1b[H" + "\r\n".join("".join(line) for line in lines)
    plain = ["".join(piece for piece in line if piece not in SILENT).rstrip(" ") for line in lines]
    assert render(printed.encode(), rows=40, columns=120) == "\n".join(plain).rstrip("\n ")


@given(
    st.permutations(range(1, 41)),
    st.lists(words, max_size=20),
    st.sampled_from(["", "\x1b[?1049h", "\x1b[?47h"]),
)
def test_text_at_any_position_is_rendered(rows: list[int], texts: list[str], screen: str) -> None:
    positioned = "".join(f"\x1b[{row};{row}H<{text}>" for row, text in zip(rows, texts, strict=False))
    found = render(f"{screen}\x1b[2J{positioned}".encode(), rows=40, columns=120)
    assert all(f"<{text}>" in found for text in texts)


@pytest.mark.parametrize(("top", "bottom"), [(1, 40), (1, 39), (2, 40), (5, 9), (39, 40)])
@pytest.mark.parametrize("screen", ["", "\x1b[?1049h"])
def test_lines_that_leave_a_scroll_region_are_kept(top: int, bottom: int, screen: str) -> None:
    lines = [f"line {n}." for n in range(200)]
    printed = f"{screen}\x1b[1;1Hhead\x1b[40;1Hfoot\x1b[{top};{bottom}r\x1b[{bottom};1H" + "\r\n".join(lines)
    assert set(lines) <= set(render(printed.encode(), rows=40, columns=120).split("\n"))


@pytest.mark.parametrize(
    ("printed", "screen"),
    [
        ("\x1b[2J\x1b[H漢字\ra\r\nRESULT", "a 字\nRESULT"),
        ("\x1b[2J\x1b[H漢字\x1b[1;2Hb", " b字"),
        ("\x1b[2J\x1b[H漢字\x1b[1;2H\x1b[K", ""),
        ("\x1b[2J\x1b[1;1;1HX", "X"),
        ("\x1b[2J\x1b[4KX\x1b[20J", "X"),
        ("\x1b[2J\x1b[H⚠\ufe0f Warning: 3\r\n✔\ufe0f done", "⚠\ufe0f Warning: 3\n✔\ufe0f done"),
        ("\x1b[Ha\u200db\u200bc\u00add\ufeffe", "a\u200db\u200bc\u00add\ufeffe"),
        ("\x1b[H\u0301x" + "\u0301" * 99, "\u0301x" + "\u0301" * 99),
        ("\x1b[H" + "x" * 19 + "漢" + "y", "x" * 19 + "漢y"),
        ("\x1b[?7l\x1b[H" + "x" * 30 + "漢", "x" * 18 + "漢"),
        ("\x1b[?7l\x1b[H" + "x" * 30 + "y", "x" * 19 + "y"),
        ("\x1b[Ha\tb\r\tc", "a\tc"),
        ("\x1b[Habc\x1b[4h\x1b[1;2Hx", "axbc"),
        ("\x1b[Habcdef\x1b[1;2H\x1b[2P\x1b[2@", "a  def"),
        ("\x1b[Ha\x1b[3b", "aaaa"),
        ("\x1b[H\x1b(0lqk\x1b(B x", "┌─┐ x"),
        ("1\r\n2\r\n3\x1b[2;1H\x1b[L", "1\n\n2\n3"),
        ("1\r\n2\r\n3\x1b[2;1H\x1b[M", "1\n3"),
        ("1\r\n2\x1b[H\x1bM0", "0\n1\n2"),
        ("1\r\n2\x1b[S", "1\n2"),
        ("\x1b[2;3r\x1b[?6h\x1b[1;1Ha\x1b[9;1Hb", "\na\nb"),
        ("one\x1b7\r\n\r\n\x1b8 two", "one two"),
        ("log\x1b[E\x1b[Efoot\x1b[2Fhead", "head\n\nfoot"),
        ("text\x1bcnew", "new"),
        ("\x1b[H\x1b]0;never ended\r\ntext", "\ntext"),
        ("\x1b[H\x1bPnever ended\r\ntext", "\ntext"),
        ("\x1b[?2026$pHello \x1b[4:3mcurly\x1b[m \x1bP1$r0m\x1b\\end", "Hello curly end"),
    ],
)  # fmt: skip
def test_control_sequences_are_rendered_as_by_a_terminal(printed: str, screen: str) -> None:
    assert render(printed.encode(), rows=5, columns=20) == screen


def test_a_program_that_draws_is_recognized_by_its_output() -> None:
    for code in (
        "[2J",
        "[H",
        "[3;5H",
        "[A",
        "[2B",
        "[5d",
        "[?1049h",
        "[?25;1049h",
        "[1;5r",
        "M",
        "c",
        "7",
        "[s",
    ):
        assert draws(f"text\x1b{code}".encode()), code
    assert not draws(b"\x1b[31mplain\x1b[0m\r\x1b[K\x1b[?2004h\x1b[1G\x1b[6n\x1b[>4;2m\x1b]0;A\x07")


def test_the_main_screen_is_restored_after_an_editor() -> None:
    screen = Screen(5, 20)
    screen.feed(b"$ edit\r\n\x1b[?1049h\x1b[2J\x1b[Htext")
    assert screen.take().head == "$ edit\ntext"  # the first line has come since the last look
    assert screen.take().head == "text"
    screen.feed(b"\x1b[?1049l$ ")
    assert screen.take().head == "$ edit\n$"


def test_lines_above_a_display_that_is_redrawn_are_not_lost_and_not_repeated() -> None:
    first = b"".join(b"log %d\r\n\x1b[2K50%%\r" % n for n in range(4))
    then = b"\x1b[1Alog 3 again\r\n\x1b[2K\r\nlog 5\r\nlog 6\r\n100%"
    assert render(first + then, rows=4, columns=20).split("\n") == [
        *("log 0", "log 1", "log 2", "log 3 again", "", "log 5", "log 6", "100%")
    ]
    assert render(then, rows=4, columns=20, before=first).split("\n") == [
        *("log 3 again", "", "log 5", "log 6", "100%")
    ]


@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([s.encode() for s in SILENT]), max_size=30), st.data()
)
def test_output_in_pieces_renders_like_the_whole(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"\x1b[H" + b"".join(pieces)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=5).map(sorted))
    screen = Screen(10, 30)
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        screen.feed(whole[start:stop])
    screen.feed(b"\x18")
    assert screen.take().head == render(whole + b"\x18", rows=10, columns=30)


def test_a_long_string_sequence_in_pieces_is_ignored() -> None:
    for begin, end in product(("\x1bPq", "\x1b]52;c;", "\x1b_G"), ("\x1b\\", "\x18")):
        screen = Screen(10, 30)
        data = f"a{begin}{'x' * 100_000}{end}b".encode()
        for start in range(0, len(data), 1000):
            screen.feed(data[start : start + 1000])
        assert screen.take().head == "ab"


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("\x1b[6n", "\x1b[3;4R"),
        ("\x1b[?6n", "\x1b[?3;4R"),
        ("\x1b[5n", "\x1b[0n"),
        ("\x1b[c", "\x1b[?62;22c"),
        ("\x1b[0c", "\x1b[?62;22c"),
        ("\x1b[>c", "\x1b[>1;10;0c"),
        ("\x1b[18t", "\x1b[8;10;30t"),
        ("\x1b[?2026$p", "\x1b[?2026;0$y"),
        ("\x1bP+q544e\x1b\\", "\x1bP0+r\x1b\\"),
        ("\x1b]11;?\x07", "\x1b]11;rgb:0000/0000/0000\x1b\\"),
        ("\x1b]10;?\x1b\\", "\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
        ("\x1b]11;red\x07", ""),
        ("\x1b[?u", ""),
        ("\x1b[?1u\x1b[31m\x1b[1c", ""),
    ],
)
def test_terminal_queries_are_answered(query: str, reply: str) -> None:
    screen = Screen(10, 30)
    screen.feed(f"\x1b[3;4H{query}".encode())
    assert screen.replies.decode() == reply


def test_random_output_renders_without_failure() -> None:
    """No input raises, and what comes after it is there."""
    random.seed(7)
    pieces = [
        *(s.encode() for s in SILENT),
        *"漢 字 é ⚠️ \u0301 \u200d a bc \r \n \b \t \v \x0e \x0f".encode().split(b" "),
        *(
            b"\x1b" + code
            for code in b"7 8 c D E H M (0 (B )0 [ ] P X ^ _ [?1049h [?1049l [?47h [?7l [?6h [4h".split()
        ),
    ]
    finals = "@ABCDEFGHIJKLMPSTXZ`abcdefghlmnpqrstu"
    for number in range(7000):
        data = b""
        for _ in range(random.randrange(40)):
            if random.random() < 0.5:
                numbers = ";".join(
                    str(random.choice(["", 0, 1, 2, 3, 7, 40, 500])) for _ in range(random.randrange(4))
                )
                data += f"\x1b[{random.choice(['', '', '', '?', '>', '!'])}{numbers}{random.choice(finals)}".encode()
            else:
                data += random.choice(pieces) if random.random() < 0.9 else random.randbytes(5)
        text = render(
            data + b"\x18\rRESULT\x1b[K", rows=random.choice([2, 5, 40]), columns=random.choice([10, 120])
        )
        assert "RESULT" in text, (number, data)


SIZE = 256 << 10


@pytest.mark.parametrize(
    "piece",
    [
        *("y\n", "x\x1b[2K", "\n", "\t", "漢字", "\u0301\a", "\x1b[1J", "\x1bM", "\x1b[9999b", "\x1b[9999L"),
        *("\x1b[9999@", "\x1b[", "\x1b]", "\x1b", "\x1b[6n", "\x1b[99Gx\x1b[1K\r", "\x1b[?1049h\x1b[?1049l"),
        *("\x1b[" + ";" * SIZE, "\x1b[" + "9" * SIZE + "H", "\x1bP" + "x" * SIZE),
    ],
    ids=lambda piece: ascii(piece[:12]),
)  # fmt: skip
def test_the_time_is_linear_in_the_number_of_bytes(piece: str) -> None:
    def seconds(size: int) -> float:
        data = b"\x1b[H" + (piece.encode() * (size // len(piece) + 1))[:size]
        began = time.process_time()
        render(data, rows=40, columns=120)
        return time.process_time() - began

    assert seconds(SIZE) < 8 * seconds(SIZE // 4) + 0.2  # a quadratic one takes 16 times as long
