from __future__ import annotations

import os
import tty
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.terminal_output import TerminalOutput
from agent_runtime.shell.truncation import OutputStore

# None: the output is reported; the sequences leave what was printed where it is
steps = st.lists(
    st.none()
    | st.integers(1, 90)
    | st.sampled_from(
        [b"\x1b[6n", b"\x1b7\x1b8", b"\x1b[999;1H", b"\x1b[1m", b"\xe2\x80", b"\x1b]0;t\x07", b"\x1b[s\x1b[u"]
    ),
    max_size=30,
)


@settings(deadline=None)
@given(steps)
def test_each_line_is_reported_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | int | None]
) -> None:
    async def main() -> None:
        read, write = os.pipe()
        keyboard, typed = os.pipe()
        store = OutputStore(tmp_path_factory.getbasetemp() / "terminal")
        terminal = TerminalOutput(typed, 40, 120)
        capture = OutputCapture(read, lambda: store.log("x"), on_data=terminal.answer)
        printed = 0
        new: list[int] = []
        for step in [*steps, None]:
            if step is None:
                text = terminal.report(capture, 100_000).text
                assert all(f"line {n}." in text for n in new)
                new.clear()
                continue
            numbers = range(printed, printed + step) if isinstance(step, int) else ()
            new += numbers
            printed += len(numbers)
            data = b"".join(b"line %d.\r\n" % n for n in numbers) if isinstance(step, int) else step
            before = capture.total
            os.write(write, data)
            while capture.total < before + len(data):
                await capture.more(capture.total)
        await capture.drain()
        terminal.close()
        capture.close()
        for fd in (write, keyboard, typed):
            os.close(fd)

    anyio.run(main)


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        (b"\x1b[6n", b"\x1b[1;3R"),
        (b"\x1b[?6n", b"\x1b[?1;3R"),
        (b"\x1b[0c", b"\x1b[?62;22c"),
        (b"\x1b[?2026$p", b"\x1b[?2026;0$y"),
        (b"\x1b[>q", b"\x1bP>|agent-runtime\x1b\\"),
        (b"\x1b]11;?\x07", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
        (b"\x1bP+q544e\x1b\\", b"\x1bP0+r\x1b\\"),
    ],
)
@pytest.mark.anyio
async def test_a_terminal_query_is_answered_wherever_it_is_split(
    tmp_path: Path, query: bytes, reply: bytes
) -> None:
    ends = list(range(len(query)))
    splits = [[0, at, len(query)] for at in ends] + [[*ends, len(query)]]
    for split in splits:
        master, slave = os.openpty()
        tty.setraw(slave)
        terminal = TerminalOutput(master, 40, 120)
        capture = OutputCapture(
            os.dup(master), lambda: OutputStore(tmp_path).log("x"), on_data=terminal.answer
        )
        for piece in [b"ab", *(query[start:end] for start, end in pairwise(split))]:
            before = capture.total
            os.write(slave, piece)
            while capture.total < before + len(piece):
                await capture.more(capture.total)
        with anyio.fail_after(5):
            await anyio.wait_readable(slave)
        assert os.read(slave, 100) == reply, split
        await capture.drain()
        terminal.close()
        capture.close()
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    "sequence", [b"\x1b[31m", b"\x1b[1;38;5;208m", b"\x1b]0;title\x07", b"\x1b[0K", b"\x1b(B"]
)
@pytest.mark.anyio
async def test_output_that_places_no_text_is_not_drawn_wherever_it_is_split(
    tmp_path: Path, sequence: bytes
) -> None:
    read, write = os.pipe()
    terminal = TerminalOutput(-1, 40, 120)
    capture = OutputCapture(read, lambda: OutputStore(tmp_path).log("x"), on_data=terminal.answer)
    for at in range(len(sequence) + 1):
        for piece in (b"a line " + sequence[:at], sequence[at:] + b"\r\n"):
            before = capture.total
            os.write(write, piece)
            while capture.total < before + len(piece):
                await capture.more(capture.total)
    assert terminal._drawn == 0
    lines = terminal.report(capture, 1000).text.splitlines()
    assert [line.rstrip() for line in lines] == ["a line"] * (len(sequence) + 1)
    await capture.drain()
    terminal.close()
    capture.close()
    os.close(write)
