"""Programs on a terminal: what they draw, what they ask, what is typed, and what they leave in the background."""

from __future__ import annotations

import shlex
import signal
import threading
from functools import partial
from pathlib import Path

import anyio
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.shell import live_output, output_buffer, screen, session
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.system.processes import Process
from agent_runtime.system.sockets import listeners
from tests.support.waiting import until_async

from .conftest import (
    PATIENT,
    UNTIL_GO,
    Bench,
    body,
    number,
    start,
    start_until,
    until_waiting,
    write,
    write_until,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        (r"printf '\033[2J\033[H'; printf '漢字\ra\n'; echo RESULT", "a 字\nRESULT"),
        (r"printf '\033[2J\033[1;1;1HX\n'", "X"),
        (r"printf '\033[2J\033[4K\033[20J'; echo X", "X"),
        (r"printf '\033[2J\033[H'; echo '⚠️ Warning: 3 found'; echo '✔️ done'", "⚠️ Warning: 3 found\n✔️ done"),
        (r"printf '\033[2J\033[H\033[?2026$pHello \033[4:3mcurly\033[m \033P1$r0m\033\\end\n'", "Hello curly end"),
        (r"for n in 1 2 3; do printf '\033[2K\033[1GStep %d' $n; done; echo", "Step 3"),
        (r"printf 'long %0150d\n' 7; printf '\033[2A'", "long " + "7".zfill(150)),
        (r"seq 100; printf '\033[?1049h\033[Hin the editor'", "\n".join(map(str, range(1, 101))) + "\nin the editor"),
    ],
)  # fmt: skip
async def test_printed_output_is_reported(sessions: SessionManager, command: str, seen: str) -> None:
    result = await start(sessions, command, tty=True)
    assert (result.exit_code, body(result)) == (0, seen)


async def test_a_rendering_failure_loses_no_output(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr(screen.Screen, "feed", fail)
    command = r"printf '\033[2J\033[31mRESULT\033[6n\n'; cat"
    running, printed = await start_until(sessions, command, "RESULT", tty=True)
    assert printed == "RESULT"
    monkeypatch.undo()
    assert "drawn again" in await write(sessions, running, "\x1b[H drawn again\n")
    assert "could not be drawn" in caplog.text


@pytest.mark.parametrize(
    "command", ["clear; seq 1 60000; echo END", r"seq 1 60000; printf '\033[1A\033[2KEND\n'"]
)
async def test_head_and_tail_of_long_rendered_output_are_kept(sessions: SessionManager, command: str) -> None:
    lines = [str(n) for n in range(1, 60001)]
    whole = await start(sessions, command, tty=True, tokens=200_000)
    drawn = body(whole).split("\n")
    assert (drawn[-1], whole.truncated) == ("END", False)
    assert drawn[:-1] == lines or drawn[:-1] == lines[:-1]
    cut = await start(sessions, command, tty=True, tokens=100)
    head, _, rest = body(cut).partition("[... ")
    assert head.split() == lines[:69] and rest.split("\n")[-2:] in (["60000", "END"], ["59999", "END"])
    assert cut.truncated and "lines) cut here; the whole output is in " in rest
    assert cut.output_file and Path(cut.output_file).read_text().count("\n") > 60_000


async def test_head_and_tail_of_a_rendered_flood_are_kept(sessions: SessionManager) -> None:
    result = await start(sessions, "clear; seq 1 600000; echo END", tty=True, tokens=100, seconds=120)
    head, _, rest = body(result).partition("[... ")
    assert head.split()[:3] == ["1", "2", "3"] and rest.split()[-2:] == ["600000", "END"]
    missing = int(rest.split(" bytes ")[0])
    assert abs(missing - 4_800_000) < 700_000  # the carriage returns are counted, or not
    assert result.truncated and result.output_file


async def test_output_that_is_not_short_is_rendered_outside_of_the_event_loop(
    sessions: SessionManager, sh: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[int]] = {}

    def record(owner: object, name: str) -> None:
        original = getattr(owner, name)
        used = threads.setdefault(f"{owner} {name}", set())

        def recorded(*args: object) -> object:
            used.add(threading.get_ident())
            return original(*args)

        monkeypatch.setattr(owner, name, recorded)

    record(screen.Screen, "feed")
    record(screen.Screen, "take")
    record(output_buffer, "clean")
    record(live_output, "clean")
    await start(sessions, r"printf '\033[Hdrawn\033[6n'", tty=True)
    await start(sessions, "seq 5000")

    async def printed(piece: str) -> None:
        (sh.home / "go").touch()

    await sh.shell.run(
        f"seq 5000; {UNTIL_GO}", timeout=PATIENT, call_id="c", tokens=50_000, on_output=printed
    )
    assert all(used and threading.get_ident() not in used for used in threads.values()), threads


ASK = """
import os, select, sys, termios, tty
saved = termios.tcgetattr(0)
tty.setraw(0)
for query in sys.argv[1:]:
    os.write(1, query.encode().decode("unicode_escape").encode())
    reply = b""
    while select.select([0], [], [], 60 if not reply else 0.2)[0]:
        reply += os.read(0, 100)
    termios.tcsetattr(0, termios.TCSANOW, saved)
    print(ascii(reply.decode()))
    tty.setraw(0)
termios.tcsetattr(0, termios.TCSANOW, saved)
"""


async def test_the_terminal_answers_while_the_program_runs(sessions: SessionManager, home: Path) -> None:
    (home / "ask.py").write_text(ASK)
    queries = [r"\033[5n", r"ab\033[6n", r"\033[c", r"\033[3;7H\033[6n", r"\033[?u\033[c", r"\033[18t"]
    result = await start(sessions, f"python3 ask.py {shlex.join(queries)}", tty=True)
    for reply in ("[0n", "[2;3R", "[?62;22c", "[3;7R", "[8;40;120t"):
        assert f"\\x1b{reply}'" in body(result), reply


async def test_a_terminal_query_of_a_shell_session_is_answered(sessions: SessionManager) -> None:
    command = (
        r"""seq 50; printf 'at \033[6n'; IFS='[;' read -rsd R _ row column; echo "row $row column $column" """
    )
    assert body(await start(sessions, command, tty=True)).endswith("row 40 column 4")


async def test_a_line_that_the_terminal_would_cut_is_refused(sessions: SessionManager, home: Path) -> None:
    reader = number(await start(sessions, "cat > f; wc -c f", tty=True, seconds=0))
    await write(sessions, reader, "y" * 4095 + "\n" + "z" * 4000)
    for text in ("x" * 6000 + "\n", "x" * 96, "\nshort\n" + "é" * 2048):
        with pytest.raises(ToolError, match=r"chars: a line of \d+ bytes; .* at most 4095 bytes"):
            await write(sessions, reader, text)
    await write(sessions, reader, "z" * 95 + "\n")
    ended = await sessions.write(reader, "\x04", seconds=60, tokens=100)
    assert ended.exit_code == 0
    assert (home / "f").read_bytes() == b"y" * 4095 + b"\n" + b"z" * 4095 + b"\n"


async def test_a_program_in_raw_mode_gets_long_lines(sessions: SessionManager, home: Path) -> None:
    command = "stty raw -echo; echo ready; head -c 20001 > f; stty sane; wc -c f"
    reader, _ = await start_until(sessions, command, "ready", tty=True)
    assert "20001 f" in await write(sessions, reader, "x" * 20_000 + "\n")


def is_being_hung_up(pid: int) -> bool:
    """Whether a process has been sent a SIGHUP that it has not handled."""
    fields = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    pending = int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)
    return bool(pending & 1 << signal.SIGHUP - 1)


@pytest.mark.parametrize(
    "left", ["sleep 300 &", "python3 -m http.server 0 >log 2>&1 &", "(exec sleep 300) & disown;"]
)
async def test_background_processes_keep_running(sessions: SessionManager, left: str) -> None:
    result = await start(sessions, f"{left} echo ok", tty=True)
    assert result.exit_code == 0 and body(result).startswith("ok\n[left running]\n")
    process = Process.of(sessions.background()[0].pid)
    assert process
    await until_async(lambda: not is_being_hung_up(process.pid))
    assert process.lives  # the kernel has hung up by now


@pytest.mark.parametrize(
    ("command", "typed", "code"),
    [
        ("exec sh -c 'echo on; exec sleep 600'", "\x03", 130),
        ("exec sh -c 'echo on; exec sleep 600'", "\x1c", 131),  # which bash ignores
        ("echo on; sleep 600; echo after", "\x03", 130),
        ("trap 'exit 9' INT; echo on; sleep 600", "\x03", 9),
        ("echo on; read x; exit $x", "7\n", 7),
    ],
)
async def test_exit_codes(sessions: SessionManager, command: str, typed: str, code: int) -> None:
    running, _ = await start_until(sessions, command, "on\r\n", tty=True)
    result = await sessions.write(running, typed, seconds=60, tokens=100)
    assert result.exit_code == code
    assert body(result).strip("^C\\\n") in ("", "7")


async def test_a_program_that_the_keyboard_stops_is_continued(sessions: SessionManager, home: Path) -> None:
    command = "echo on; until test -e more; do sleep 0.02; done; exit 5"
    running, _ = await start_until(sessions, command, "on\r\n", tty=True)
    await write_until(sessions, running, "\x1a", "^Z")
    (home / "more").touch()
    assert (await sessions.write(running, "", seconds=60, tokens=100)).exit_code == 5


async def test_the_exit_code_of_a_program_that_a_signal_ends(sessions: SessionManager) -> None:
    assert (await start(sessions, "kill -SEGV $$", tty=True)).exit_code == 139


async def test_a_program_has_the_terminal_in_the_foreground(sessions: SessionManager) -> None:
    code = (
        "import os; print(os.getpgrp() == os.tcgetpgrp(0), os.ttyname(0) == os.ttyname(1) == os.ttyname(2))"
    )
    assert body(await start(sessions, f"python3 -c '{code}'; tty </dev/tty", tty=True)).startswith(
        "True True\n/dev/"
    )


@pytest.mark.parametrize(
    ("command", "typed", "answer"),
    [
        ("python3 -qi", "6*7\n", "42"),
        ("bash --norc --noprofile", "echo $((6*7))\n", "42"),
        ("cat", "hi\n", "hi\nhi"),
        ("read -p 'Password: ' x; read -p 'Again: ' x", "one\n", "Again: "),
    ],
)
async def test_an_answer_is_returned_when_the_program_waits_again(
    sessions: SessionManager, command: str, typed: str, answer: str
) -> None:
    running = number(await start(sessions, command, tty=True, seconds=0))
    await until_waiting(sessions, running)
    with anyio.fail_after(120):
        assert answer in await write(sessions, running, typed, 300)


async def test_an_answer_is_waited_for_while_the_program_is_busy(sessions: SessionManager) -> None:
    running = number(await start(sessions, "python3 -qi", tty=True, seconds=0))
    await until_waiting(sessions, running)
    code = "import time; print('first'); time.sleep(1.5); print('se' + 'cond')\n"
    assert "second" in await write(sessions, running, code)
    running = number(await start(sessions, "bash --norc", tty=True, seconds=0))
    await until_waiting(sessions, running)
    assert "second" in await write(sessions, running, "echo first; sleep 1.5; echo se''cond\n")


def waits(program: session.Session) -> bool:
    return program.waits_for_input


def listens(program: session.Session) -> bool:
    inodes = {listener.inode for listener in listeners()}
    return any(process.sockets & inodes for process in program.living())


async def test_interactive_programs_end_with_the_run(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_HANG_UP_SECONDS", PATIENT)
    for command, tty in [
        ("bash --norc", True),
        ("python3 -qi", True),
        ("cat", False),
        ("trap '' HUP; echo on; while sleep 0.1; do :; done", True),
        ("python3 -m http.server 0", True),
        ("python3 -m http.server 0", False),
        ("exec sleep 300", False),
    ]:
        await start(sessions, command, tty=tty, seconds=0)
    programs = list(sessions._sessions.values())
    for program in programs[:3]:
        await until_async(partial(waits, program))
    await until_async(lambda: "on" in programs[3].capture.recent())
    for program in programs[4:6]:
        await until_async(partial(listens, program))
    await until_async(lambda: programs[6].living()[0].command == "sleep 300")
    await sessions.end_interactive()
    assert [process.command for process in sessions.ended] == ["bash --norc", "python3 -qi", "cat"]
    left = [process.command[:20] for process in sessions.background()]
    assert left == ["trap '' HUP; echo on", *["python3 -m http.serv"] * 2, "exec sleep 300"]
    await sessions.aclose(kill=False)
    assert len(sessions.ended) == 3
    living = sessions.background()
    assert len(living) == 4 and all(process.log_file for process in living)
    assert all(process and process.lives for process in [Process.of(process.pid) for process in living])
    await sessions._left.end()


async def test_output_after_an_answer_is_not_repeated(sessions: SessionManager) -> None:
    command = r"printf 'one\033[6n'; read -rsd R x; printf .; read x; echo two; read x; printf '\033[2Ethree'; read x"
    running, _ = await start_until(sessions, command, "one\x1b[6n.", tty=True)
    assert "two" in (plain := await write(sessions, running, "\n")) and "one" not in plain
    assert (await write(sessions, running, "\n")).endswith("three")
    assert await write(sessions, running, "", 0) == ""
