"""Programs without a terminal: their stdin is a pipe that takes all bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.shell.session_manager import SessionManager

from .conftest import body, number, start, start_until, write, write_until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "text",
    [
        "x" * 6000 + "\n",
        "a\tb\x7fc\x15d\x16e\x11f\x13g\x1ah\x1ci\rj\n",
        "".join(map(chr, [*range(3), *range(5, 0x180)])),
        "".join(random.Random(1).choices("abc é漢😀\n", k=200_000)),
    ],
)
async def test_all_input_arrives(sessions: SessionManager, home: Path, text: str) -> None:
    session = number(await start(sessions, "cat > f", seconds=0))
    await write(sessions, session, text, 0)
    await write(sessions, session, text + "\x04")
    assert (home / "f").read_bytes().decode() == text * 2


@pytest.mark.parametrize(
    "command",
    [
        "test ! -t 0",
        "python3 -c 'import sys; sys.exit(sys.stdin.isatty())'",
        "! tty -s",
        "mkdir r; touch r/x; chmod 444 r/x; rm -r r",
        "! stty -a 2>/dev/null",
        "test ! -e /dev/fd/99; ls -l /dev/fd/0 | grep -q pipe",
    ],
)
async def test_stdin_is_not_a_terminal(sessions: SessionManager, command: str) -> None:
    assert (await start(sessions, command)).exit_code == 0


async def test_a_question_can_be_answered(sessions: SessionManager) -> None:
    session = number(await start(sessions, "touch x; rm -i x; test ! -e x", seconds=0))
    assert (await sessions.write(session, "y\n", seconds=60, tokens=100)).exit_code == 0


async def test_end_of_input_can_be_sent(sessions: SessionManager) -> None:
    # bash ignores an interrupt while it waits for a program that then exits by itself: `wc` has exited when "on" comes
    session = number(await start(sessions, "wc -c; echo on; sleep 600", seconds=0))
    assert await write_until(sessions, session, "four\n\x04", "on\n") == "5\non"
    with pytest.raises(ToolError, match=f"session {session} takes no input: its stdin is at its end"):
        await write(sessions, session, "more")
    assert (await sessions.write(session, "\x03", seconds=60, tokens=100)).exit_code == 130


async def test_writing_to_a_program_with_closed_stdin_is_reported(sessions: SessionManager) -> None:
    session, _ = await start_until(sessions, "exec <&-; echo on; sleep 600", "on")
    with pytest.raises(ToolError, match="it has closed its stdin"):
        await write(sessions, session, "text")


@pytest.mark.parametrize("command", ["rg -n needle", "cd . && rg needle | cat", "timeout 5 rg needle"])
async def test_a_search_reads_the_files_and_not_its_stdin(
    sessions: SessionManager, home: Path, command: str
) -> None:
    (home / "hay").write_text("the needle\n")
    (home / "rg").write_text("#!/bin/sh\ntest -p /dev/stdin && exec cat\nexec grep -rn needle hay\n")
    (home / "rg").chmod(0o755)
    assert body(await start(sessions, f"PATH=$PWD:$PATH; {command}")) == "1:the needle"


async def test_background_processes_keep_running(sessions: SessionManager) -> None:
    result = await start(sessions, "sleep 300 & echo ok")
    assert body(result).startswith("ok\n[left running]\n")
    assert len(sessions.background()) == 1


async def test_head_and_tail_of_what_has_come_since_the_last_call_are_kept(sessions: SessionManager) -> None:
    command = "seq 1 50000; read x; seq 1000001 1200000; read x; seq 2000001 2300000; read x"
    session, _ = await start_until(sessions, command, "\n50000\n")
    for first, last, missing in ((1000001, 1200000, 200000), (2000001, 2300000, 300000)):
        result = await sessions.write(session, "\n", seconds=60, tokens=100)
        head, _, rest = body(result).partition("[... ")
        lines = head.split()
        # of more than the ring holds the head is gone, and the file has it
        assert lines == [str(first + n) for n in range(len(lines))] and (lines or missing == 300000)
        tail = rest.split("\n")[1:]
        assert tail[-1] == str(last)
        assert f"({missing - len(lines) - len(tail)} lines)" in rest
        assert result.truncated and result.output_file
