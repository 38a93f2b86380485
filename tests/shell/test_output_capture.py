"""Huge, odd and live output (opencode#9699, #15385; codex#35712; claude-code#50019, #68325)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.shell.live_output import LiveOutput
from agent_runtime.shell.output_capture import OutputCapture
from agent_runtime.shell.output_log import BoundedLog
from agent_runtime.shell.truncation import OutputStore

from .conftest import PATIENT, UNTIL_GO, Bench

pytestmark = pytest.mark.anyio


def resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_flood_is_bounded_in_memory_and_on_disk(sh: Bench) -> None:
    await sh("true")
    before = resident()
    result = await sh("yes | head -c 300M", timeout=120)
    assert resident() - before < 20 << 20
    assert (result.exit_code, result.truncated, result.output_bytes) == (0, True, 300 << 20)
    assert result.output_file == str(sh.home.parent / "logs/call-2.log")
    kept = Path(result.output_file or "")
    assert 40 << 20 < kept.stat().st_size <= 64 << 20
    assert len(result.text.encode()) < 41_000
    head, _, tail = result.text.partition("[... ")
    tail = tail.partition("\n")[2]
    missing = (300 << 20) - len(head) - len(tail) - 1
    assert (
        f"\n[... {missing} bytes ({missing // 2} lines) cut here; its beginning and its end, " in result.text
    )
    assert {*head.split(), *tail.split()} == {"y"}
    kept.unlink()


async def test_head_and_tail_reach_the_model_and_the_whole_is_in_the_file(sh: Bench) -> None:
    result = await sh("seq 1 20000", tokens=100)
    whole = "".join(f"{n}\n" for n in range(1, 20001))
    assert result.output_file
    assert Path(result.output_file).read_text() == whole
    head, cut, tail = result.text.partition("[... ")
    assert head == "".join(f"{n}\n" for n in range(1, 70))
    assert tail.startswith(
        f"{len(whole) - 1 - len(head) - 197} bytes (19898 lines) cut here; the whole output is in "
    )
    assert tail.split("\n")[1:] == [str(n) for n in range(19968, 20001)]
    assert cut


async def test_truncation_never_splits_a_character(sh: Bench) -> None:
    result = await sh("for n in $(seq 2000); do printf '😀é'; done", tokens=101)
    assert "�" not in result.text
    assert result.text.startswith("😀é😀é")
    assert result.text.endswith("😀é😀é")


async def test_bytes_that_are_not_text_are_replaced(sh: Bench) -> None:
    assert (await sh(r"printf 'a\0b\xff\xfe\xe2\x82c\xed\xa0\xbd'")).text == "a�b���c���"
    assert (await sh(r"printf '\xf0\x9f'; sleep 0.1; printf '\x98\x80\n'")).text == "😀"


async def test_progress_bars_and_colors_are_cleaned(sh: Bench) -> None:
    result = await sh(
        r"for n in 1 50 100; do printf '\r%3d%%' $n; sleep 0.05; done; echo; printf '\e[31mred\e[0m\n'"
    )
    assert result.text == "100%\nred"


async def test_a_long_progress_display_is_reduced_to_its_last_state(sh: Bench) -> None:
    code = r"for i in range(100000): print(end='\x1b[2K\x1b[1Gfile %d' % i)"
    assert (await sh(f'python3 -c "{code}"', tokens=1000)).text == "file 99999"


async def test_output_comes_while_it_is_printed(sh: Bench) -> None:
    arrived: list[str] = []

    async def note(piece: str) -> None:
        arrived.append(piece)
        (sh.home / "go").touch()

    command = f"echo one; {UNTIL_GO}; echo two"
    result = await sh.shell.run(command, timeout=PATIENT, call_id="x", tokens=1000, on_output=note)
    assert result.outcome == "completed"  # the first line came before the second was printed
    assert arrived == ["one", "\ntwo"]


async def test_what_was_printed_before_a_timeout_is_returned(sh: Bench) -> None:
    result = await sh.timed_out("printf 'no newline'; touch up; sleep 600")
    assert result.text.startswith("no newline")


async def test_a_command_without_output_says_so(sh: Bench) -> None:
    assert (await sh("true")).text == "(no output)"


@pytest.fixture
async def captured(tmp_path: Path) -> AsyncIterator[tuple[OutputCapture, Path]]:
    """The reader of a FIFO that nothing has opened, and the FIFO."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    capture = OutputCapture(fd, lambda: BoundedLog(str(tmp_path / "log"), 64 << 20))
    yield capture, fifo
    await capture.drain()
    capture.close()


@pytest.mark.parametrize("size", [0, 1, 4096, 256 << 10, (256 << 10) + 1, 3 << 20])
@pytest.mark.parametrize("has_threads", [True, False])
async def test_only_a_long_output_is_read_by_a_thread(
    captured: tuple[OutputCapture, Path], size: int, has_threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    capture, fifo = captured
    data = os.urandom(size)
    writer = await anyio.open_process(["sh", "-c", f"cat >{fifo}"], stdout=None, stderr=None)
    assert writer.stdin
    if not has_threads:
        monkeypatch.setattr("agent_runtime.shell.output_capture.threading.Thread.start", refuse)
    await writer.stdin.send(data or b"")
    await writer.stdin.aclose()
    while not capture.ended:
        await capture.more(capture.total)
    await writer.wait()
    assert capture.total == size
    assert capture.read(max(0, size - (2 << 20)), size) == data[-(2 << 20) :]
    assert (capture._thread is not None) == (has_threads and size > 256 << 10)


async def test_nothing_is_waited_for_from_a_pipe_that_nobody_opened(
    captured: tuple[OutputCapture, Path],
) -> None:
    capture, _ = captured
    await anyio.lowlevel.checkpoint()
    assert (capture.total, capture.ended) == (0, False)
    await capture.drain()
    assert capture.total == 0


async def test_two_calls_of_one_id_have_two_files(sh: Bench) -> None:
    for _ in range(2):
        await sh.shell.run("seq 1000", timeout=PATIENT, call_id="../a b", tokens=10)
    assert sorted(p.name for p in (sh.home.parent / "logs").iterdir()) == ["_a_b-2.log", "_a_b.log"]


async def test_all_output_that_a_terminal_holds_is_read(tmp_path: Path) -> None:
    """The kernel says of a page of it only that it is there."""
    master, slave = os.openpty()
    os.set_blocking(slave, False)
    written = 0
    for _ in range(1000):
        with suppress(BlockingIOError):
            written += os.write(slave, b"x" * 1000)
    capture = OutputCapture(master, lambda: OutputStore(tmp_path).log("x"))
    await capture.drain()
    capture.close()
    os.close(slave)
    assert 4096 < written == capture.total


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b"\n", b"\r", b"\x1b[K", b"\x1b]0;", b"\xf0\x9f", b"\x08"])
    )
)
def test_live_pieces_add_up_to_the_final_text(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    async def main() -> None:
        read, write = os.pipe()
        store = OutputStore(tmp_path_factory.getbasetemp() / "fuzz")
        capture = OutputCapture(read, lambda: store.log("x"))
        pieces: list[str] = []

        async def send(piece: str) -> None:
            pieces.append(piece)

        live = LiveOutput(20, send)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(live.follow, capture)
            for chunk in chunks:
                os.write(write, chunk)
                await anyio.lowlevel.checkpoint()
            os.close(write)
        await capture.drain()
        text = capture.fit(20).text
        await live.finish(text)
        capture.close()
        assert "".join(pieces) == text
        assert text.encode().decode() == text

    anyio.run(main)


@given(st.lists(st.binary(min_size=1, max_size=5000), max_size=40))
def test_a_log_keeps_its_beginning_and_its_end(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "log"
    path.unlink(missing_ok=True)
    log = BoundedLog(str(path), 8192)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    whole = b"".join(chunks)
    kept = path.read_bytes() if whole else b""
    assert len(kept) == log.size <= 8192
    if log.cut:
        assert kept[:4096] == whole[:4096]
        head, marker, tail = kept.partition(f"\n[... {log.cut} bytes cut here ...]".encode())
        assert marker and len(head) == 4096
        tail = tail.lstrip(b" ").removeprefix(b"\n") if tail.startswith(b" ") else tail[1:]
        assert whole.endswith(tail[1:])
        assert len(head) + log.cut + (len(kept) - 4096 - 80) == len(whole)
    else:
        assert kept == whole
