"""Programs that the model types into and comes back to."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_runtime.errors import ToolError
from agent_runtime.protocol.tool_output import ToolOutput
from agent_runtime.shell import keyboard
from agent_runtime.shell.session import Session
from agent_runtime.shell.session_manager import SessionManager
from agent_runtime.shell.truncation import TruncatedOutput
from agent_runtime.system.process_tree import descendants
from agent_runtime.system.terminate import ready
from tests.support.waiting import until_async

from .conftest import UNTIL_GO, body, number, start, start_until, until_waiting, write, write_until

pytestmark = pytest.mark.anyio


async def test_a_command_that_ends_returns_its_exit_code(sessions: SessionManager) -> None:
    result = await start(sessions, "echo out; echo err >&2; exit 3")
    assert re.fullmatch(
        r"Wall time: \d+\.\d+ seconds\nProcess exited with code 3\nOutput:\nout\nerr", result.text
    )
    assert (result.exit_code, result.outcome, result.is_error) == (3, "failed", True)


async def test_a_command_ended_by_a_signal_is_reported(sessions: SessionManager) -> None:
    result = await start(sessions, "echo said >&2; kill -SEGV $$")
    assert (result.exit_code, body(result)) == (139, "said")


async def test_polling_continues_after_the_last_output(sessions: SessionManager, home: Path) -> None:
    command = "echo 1; echo 2; until test -e on; do sleep 0.02; done; echo 3; echo 4; exit 2"
    session, seen = await start_until(sessions, command, "2")
    (home / "on").touch()
    last = await sessions.write(session, "", seconds=60, tokens=1000)
    assert (seen, body(last), last.exit_code) == ("1\n2", "3\n4", 2)
    with pytest.raises(ToolError, match=f"there is no session {session}. None is running."):
        await write(sessions, session, "")


async def test_a_session_with_a_terminal_is_interactive(sessions: SessionManager) -> None:
    result = await start(sessions, "tty; stty size; echo $TERM; test -t 1 && echo yes", tty=True)
    assert re.fullmatch(r"/dev/pts/\d+\n40 120\nxterm-256color\nyes", body(result))


async def test_a_terminal_can_be_written_and_read_by_every_descriptor(sessions: SessionManager) -> None:
    command = "echo in >&0; echo err >&2; read x <&1; echo $x"
    session, printed = await start_until(sessions, command, "err", tty=True)
    assert printed == "in\nerr"  # tmux writes to its stdin, less reads from its stderr
    assert await write(sessions, session, "yes\n") == "yes\nyes"


async def test_input_and_control_characters_are_sent(sessions: SessionManager) -> None:
    session = number(await start(sessions, "exec python3 -i -q", tty=True, seconds=0))
    await until_waiting(sessions, session)
    assert "42" in await write(sessions, session, "6*7\n")
    typed = "import time; print('be' + 'gun'); time.sleep(600)\n"
    await write_until(sessions, session, typed, "begun")
    assert "KeyboardInterrupt" in await write(sessions, session, "\x03")
    ended = await sessions.write(session, "\x04", seconds=60, tokens=100)
    assert "Process exited with code" in ended.text


async def test_input_is_sent_without_a_terminal(sessions: SessionManager) -> None:
    session = number(await start(sessions, "test -t 1 || cat", seconds=0))
    assert await write(sessions, session, "hello\n") == "hello"
    ended = await sessions.write(session, "\x04", seconds=60, tokens=100)
    assert ended.exit_code == 0
    session, _ = await start_until(sessions, "echo on; exec sleep 600", "on")
    assert (await sessions.write(session, "\x03", seconds=60, tokens=100)).exit_code == 130


async def test_several_sessions_run_at_once(sessions: SessionManager) -> None:
    numbers = [number(await start(sessions, f"echo from {n}; cat", tty=True, seconds=0)) for n in range(3)]
    for n in reversed(numbers):
        assert f"for {n}" in await write(sessions, n, f"for {n}\n")
    assert len(sessions.background()) == 3


async def test_a_program_that_draws_is_rendered(sessions: SessionManager) -> None:
    draw = (
        r"printf '\033[2J\033[Hmenu\033[3;3Hfirst\033[4;3Hsecond'; read -r x; printf '\033[4;1H>'; read -r x"
    )
    session, drawn = await start_until(sessions, draw, "second", tty=True)
    assert drawn == "menu\n\n  first\n  second"
    assert (await write(sessions, session, "\n")).endswith("\n  first\n> second")


async def test_a_background_process_of_an_ended_session_is_listed(sessions: SessionManager) -> None:
    result = await start(sessions, "sleep 300 & echo started")
    log = Path(sessions.background()[0].log_file or "")
    assert (
        body(result)
        == f"started\n[left running]\n- pid {sessions.background()[0].pid}: sleep 300; log: {log}"
    )
    assert log.read_text() == "started\n"


async def test_a_session_beyond_the_limit_is_refused_and_none_is_ended(sessions: SessionManager) -> None:
    sessions._sessions._limit = 2
    for seconds in (301, 302):
        await start(sessions, f"sleep {seconds}", seconds=0)
    with pytest.raises(ToolError, match=r"2 sessions run already.*Running: 1 \(sleep 301\), 2 \(sleep 302\)"):
        await start(sessions, "sleep 303", seconds=0)
    assert len(sessions.background()) == 2
    assert (await sessions.write(1, "\x03", seconds=60, tokens=100)).exit_code == 130
    assert "session ID 3" in (await start(sessions, "sleep 303", seconds=0)).text


@pytest.mark.parametrize("command", ["sleep 0.1; echo done", "exec sleep 0.1"])
async def test_calls_of_one_turn_wait_for_each_other(sessions: SessionManager, command: str) -> None:
    sessions._sessions._limit = 3
    results: list[ToolOutput] = []

    async def open_one() -> None:
        results.append(await start(sessions, command))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(open_one)
    assert [result.exit_code for result in results] == [0] * 8


async def test_idle_sessions_are_not_ended_for_new_ones(sessions: SessionManager) -> None:
    sessions._sessions._limit = 2
    said: list[str] = []

    async def open_one() -> None:
        try:
            said.append((await start(sessions, "sleep 304", seconds=0.3)).text)
        except ToolError as error:
            said.append(str(error))

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(open_one)
    assert sum("session ID" in text for text in said) == 2
    assert sum("sessions run already" in text for text in said) == 4
    assert len(sessions.background()) == 2


async def test_ended_sessions_are_dropped_when_there_are_many(sessions: SessionManager) -> None:
    sessions._sessions._limit = 2
    for n in range(3):
        await start(sessions, f"read x; echo {n}", seconds=0)
        await sessions._sessions[n + 1].type(b"\n")
        await sessions._sessions[n + 1].wait(60)
    result = await start(sessions, "true")
    assert result.text.endswith(
        "[session 1 (read x; echo 0) has ended; its output was not asked for and is dropped]"
    )


async def test_calls_of_one_session_are_serialized(sessions: SessionManager) -> None:
    reader = number(await start(sessions, "read -r a; read -r b; echo got $a $b", seconds=0))
    answers: list[str] = []

    async def type_one(text: str) -> None:
        try:
            answers.append(await write(sessions, reader, text))
        except ToolError as error:
            answers.append(str(error).partition(".")[0])

    async with anyio.create_task_group() as tasks:
        for text in ("1\n", "2\n", "3\n"):
            tasks.start_soon(type_one, text)
    assert answers == ["", "got 1 2", f"session_id: there is no session {reader}"]


async def test_a_cancelled_start_ends_the_program(sessions: SessionManager, home: Path) -> None:
    async with anyio.create_task_group() as tasks:
        command = "echo before; (setsid sh -c 'touch up; sleep 4711; true' &) ; sleep 4711; true"
        tasks.start_soon(start, sessions, command)
        await until_async((home / "up").exists)
        tasks.cancel_scope.cancel()
    partial = sessions.partial("call")
    assert partial is not None and partial.outcome == "cancelled" and "before" in partial.text
    assert sessions.background() == []
    assert [process.pid for process in descendants(os.getpid()) if "sleep 4711" in process.command] == []


@pytest.mark.parametrize("tty", [False, True])
async def test_a_cancel_while_the_output_is_read_loses_no_output(
    sessions: SessionManager, tty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[ToolOutput] = []
    with anyio.CancelScope() as scope:
        unread = Session.unread

        async def cancelled(session: Session, tokens: int) -> TruncatedOutput:
            scope.cancel()
            return await unread(session, tokens)

        monkeypatch.setattr(Session, "unread", cancelled)
        results.append(await start(sessions, "echo text; exit 3", tty=tty))
    results += [partial] if (partial := sessions.partial("call")) else []
    assert [(body(result), result.exit_code) for result in results] == [("text", 3)]


async def test_invalid_arguments_are_refused(sessions: SessionManager) -> None:
    for command, cwd, said in [
        ("a\0b", None, "NUL"),
        ("x" * 200_000, None, "at most 120000 bytes"),
        ("true", "none", "workdir"),
    ]:
        with pytest.raises(ToolError, match=said):
            await sessions.open(command, cwd=cwd, tty=False, seconds=1, tokens=10, call_id="c")


async def test_long_output_is_truncated_and_stored(sessions: SessionManager) -> None:
    result = await start(sessions, "seq 100000", tokens=50)
    assert result.truncated and result.output_file
    assert Path(result.output_file).read_text() == "".join(f"{n}\n" for n in range(1, 100_001))
    assert body(result).endswith("\n100000")


@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"stty raw -echo; touch up; {UNTIL_GO}", "Process exited with code 0|it has closed its"),
        ("stty raw -echo; touch up; sleep 300", "bytes were not taken"),
        ("exec <&- >&- 2>&-; touch up; sleep 300", "it has closed its|a line of 200000 bytes|session ID 1"),
    ],
)
async def test_writing_to_a_program_that_does_not_read_times_out(
    sessions: SessionManager, home: Path, tty: bool, command: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(*read: int, **options: Any) -> None:
        (home / "go").touch()  # the program takes no more
        await ready(*read, **options)

    monkeypatch.setattr(keyboard, "ready", waits)
    if UNTIL_GO not in command:
        monkeypatch.setattr(keyboard, "TIMEOUT", 0.5)
    assert "session ID 1" in (await start(sessions, command, tty=tty, seconds=0)).text
    await until_async((home / "up").exists)
    with anyio.fail_after(100):
        try:
            text = (await sessions.write(1, "x" * 200_000, seconds=0.5, tokens=100)).text
        except ToolError as error:
            text = str(error)
    assert re.search(said, text)
