"""The shell keeps its state, and no command leaves the next one without a shell (claude-code#52747)."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.shell import bash_process
from tests.support.waiting import until_async

from .conftest import Bench

pytestmark = pytest.mark.anyio

KEPT = (
    "[the shell ended; the next command runs in a new one: its directory, variables, functions and options "
    "(except `set -e`) were kept]"
)


async def test_state_persists(sh: Bench) -> None:
    await sh(
        "mkdir sub; cd sub; x=1; export y=2; arr=(a 'b c'); f() { echo f $x; }; "
        "alias g='echo aliased'; shopt -s nullglob"
    )
    result = await sh("f; pwd; echo $y ${arr[1]}; g; echo *.none; bash -c 'echo $y'")
    assert result.text == f"f 1\n{sh.home}/sub\n2 b c\naliased\n\n2"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("set -e; false; echo no", 1),
        ("set -u; echo $none; echo no", 1),
        ("set -e; g() { false; }; g", 1),
        (": ${none?gone}", 1),
        ("kill $$", 143),
    ],
)
async def test_a_shell_that_ends_hands_over_its_state(sh: Bench, command: str, code: int) -> None:
    await sh("mkdir sub; x='a b'; declare -A map=([k]='v w'); f() { echo f $x; }; set -o pipefail")
    result = await sh(f"cd sub; z=9; {command}")
    assert (result.exit_code, result.outcome, result.is_error) == (code, "failed", True)
    assert KEPT in result.text
    after = await sh("pwd; f; echo ${map[k]} $z; set -o | grep -E 'errexit|pipefail'")
    assert after.text.split() == f"{sh.home}/sub f a b v w 9 errexit off pipefail on".split()
    assert (after.outcome, after.exit_code) == ("completed", 0)


async def test_unset_variables_stay_unset_and_complex_functions_are_kept(sh: Bench) -> None:
    await sh("shopt -s extglob")
    await sh("f() { case $1 in +(a)) echo matched ;; esac; }; unset LANG; shopt -u extglob; alias g='echo g'")
    assert KEPT in (await sh("exit 1")).text
    after = await sh("shopt extglob; g; echo ${LANG-unset} ${PAGER-unset}; shopt -s extglob; f aaa")
    assert after.text.split() == ["extglob", "off", "g", "unset", "cat", "matched"]


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("exec ls -d /", 0, "/\n"),
        ("kill -9 $$", 137, "[exit code 137 (SIGKILL)]\n"),
        ("exec 10>&- 11>&- 12>&- 13>&-; echo x", 0, "x\n"),
    ],
)
async def test_a_shell_that_is_gone_is_replaced(sh: Bench, command: str, code: int, text: str) -> None:
    await sh("mkdir sub; cd sub; x=1")
    result = await sh(command)
    assert result.exit_code == code
    assert result.text.startswith(text)
    assert "[the shell ended; the next command runs in a new one: " in result.text
    assert (await sh("echo back; pwd")).text == f"back\n{sh.home}/sub"


@pytest.mark.parametrize(
    "command", ["echo 'open", 'echo "open', "if true", "f() {", "echo $(", "cat <<X\nopen", "}", ")", "do"]
)
async def test_unbalanced_commands_are_errors_and_do_not_wait(sh: Bench, command: str) -> None:
    result = await sh(command)
    assert result.outcome != "timed_out"
    assert "bash: " in result.text
    assert (await sh("echo next")).text == "next"


BEFORE = "its directory, variables, functions and options are as before this command]"


@pytest.mark.parametrize(
    "command",
    [
        "x=2; kill -9 $$",
        "x=2; exec true",
        "x=2; exec bash -c 'exit 3'",
        "x=2; trap 'echo bye' EXIT; exit 5",
        "x=2; set -n",
        "x=2; ulimit -n 3",
    ],
)
async def test_a_killed_shell_loses_the_state_of_one_command(sh: Bench, command: str) -> None:
    await sh("x=1; f() { echo f; }; mkdir sub; cd sub; set -o pipefail")
    await sh.saved()
    result = await sh(command)
    assert result.text.endswith(BEFORE)
    after = await sh("echo $x; f; pwd; set -o | grep -c 'pipefail.*on'")
    assert after.text.split() == ["1", "f", f"{sh.home}/sub", "1"]


async def test_an_outdated_state_is_reported(sh: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await sh("x=1; exit 1")
    monkeypatch.setattr(bash_process, "_IDLE", 60.0)  # the state is not saved before the next command
    await sh("x=2")
    result = await sh("kill -9 $$")
    assert result.text.endswith("are as before the last commands]")
    assert (await sh("echo $x")).text == "1"


async def test_a_shell_killed_between_two_calls(sh: Bench) -> None:
    await sh("x=1; (until [ -e go ]; do sleep 0.05; done; kill -9 $$) >/dev/null 2>&1 &")
    await sh.saved()
    (sh.home / "go").touch()
    bash = sh.shell._bash
    await until_async(lambda: bash is None or bash.ended is not None)
    result = await sh("echo x$x")
    assert result.text.split("\n")[0] == "x1"
    assert (result.exit_code, "[the shell ended" in result.text) == (0, True)


async def test_a_restricted_shell_is_replaced(sh: Bench) -> None:
    assert "[the shell ended" in (await sh("set -r; true")).text
    assert (await sh("cd /; pwd")).text.split("\n")[0] == "/"


@pytest.mark.parametrize("code", [1, 3, 255])
async def test_the_last_exit_status_is_known_to_the_next_command(sh: Bench, code: int) -> None:
    await sh(f"set -e; trap 'echo err' ERR; ! true; (exit {code}) || (exit {code}) || set +e; (exit {code})")
    assert (await sh("echo $?")).text == str(code)
    assert (await sh("echo $?")).text == "0"


async def test_a_directory_with_an_unusual_name_is_kept(sh: Bench) -> None:
    for name in ("a (deleted)", "b \\n'\"c"):
        await sh(f"cd {sh.home}; mkdir -p {shlex.quote(name)}; cd {shlex.quote(name)}; ln -s . link; cd link")
        for end in ("true", "exit 1", "kill -9 $$"):
            await sh.saved()
            await sh(end)
            assert (await sh("pwd")).text == f"{sh.home}/{name}/link"


async def test_a_shell_that_ends_in_a_deleted_directory_hands_over_its_state(sh: Bench) -> None:
    await sh("mkdir sub; x=1")
    result = await sh("cd sub; rmdir ../sub; exit 1")
    assert result.text.endswith(f"but {sh.home}/sub no longer exists: it starts in {sh.home}]")
    assert (await sh("pwd; echo $PWD $x")).text.split() == [str(sh.home), str(sh.home), "1"]


async def test_a_deleted_directory_is_left(sh: Bench) -> None:
    await sh("mkdir -p a/b; cd a/b")
    await sh("rm -r ../../a")
    result = await sh("pwd; touch here")
    assert (
        result.text == f"{sh.home}\n[the working directory {sh.home}/a/b no longer exists; now in {sh.home}]"
    )
    assert (sh.home / "here").exists()
    await sh("mkdir again; cd again; rmdir ../again; mkdir ../again")
    assert (await sh("touch there; pwd")).text == f"{sh.home}/again"


@pytest.mark.parametrize(
    "command",
    [
        "exec >file",
        "exec >&- 2>&-",
        "exec </dev/zero",
        "exec 0<&- 1>&- 2>&-",
        "trap 'echo trapped' DEBUG ERR EXIT; false; trap - DEBUG ERR",
        "printf() { :; }; eval() { :; }; cd() { :; }; exit() { :; }; trap() { :; }",
        "PS1=x; PROMPT_COMMAND='exit 1'; unset PATH HOME; PATH=/usr/bin:/bin",
        "set -f; set -C; IFS=xyz",
        "alias builtin=false printf=false eval=false",
        "exec 5</dev/null; set -x; set +x",
        "break; continue; return; shift 9",
        "unset AGENT_RUNTIME_CALL; readonly REPLY=1",
        "set -o posix",
        "set --",
    ],
)
async def test_no_command_breaks_the_next_one(sh: Bench, command: str) -> None:
    await sh(command)
    result = await sh("command echo out; command echo err >&2; cat")
    assert [line for line in result.text.split("\n") if line in ("out", "err")] == ["out", "err"]
    assert result.exit_code == 0


async def test_a_shell_that_no_longer_executes_is_replaced(sh: Bench) -> None:
    result = await sh("x=1; set -n")
    assert result.outcome != "timed_out"
    assert "[the shell ended" in result.text
    assert (await sh("echo alive")).text == "alive"


async def test_a_command_of_a_megabyte_is_executed(sh: Bench) -> None:
    text = "y" * 1_000_000
    result = await sh(f"x='{text}'; echo ${{#x}}")
    assert result.text == "1000000"


async def test_nul_in_a_command_is_refused_and_lone_surrogates_are_replaced(sh: Bench) -> None:
    with pytest.raises(ToolError, match="NUL"):
        await sh("echo a\0b")
    assert (await sh("echo 'a\ud83d'")).text == "a�"


async def test_the_shell_survives_an_emptied_temporary_folder(
    sh: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    await sh(f"x=1; rm -rf {tmp_path}/tmp; (sleep 0.3; echo late) &")
    assert (await sh("echo $x; wait; exit 4")).exit_code == 4
    assert (await sh("echo $x")).text == "1"


async def test_the_shell_survives_a_missing_temporary_folder(
    sh: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    assert (await sh("x=1; echo hi; exit 1")).exit_code == 1
    assert (await sh("echo $x")).text == "1"


async def test_restart_discards_the_state(sh: Bench) -> None:
    await sh("x=1; mkdir sub; cd sub; sleep 300 & true")
    await sh.shell.restart()
    assert (await sh("echo x$x; pwd")).text == f"x\n{sh.home}/sub"
    assert [process.command for process in sh.shell.background()] == ["sleep 300"]


async def test_restart_before_anything_ran(sh: Bench) -> None:
    await sh.shell.restart()
    assert (await sh("echo ok")).text == "ok"


async def test_exit_codes_and_signals_are_reported(sh: Bench) -> None:
    result = await sh("(exit 7)")
    assert (result.text, result.exit_code, result.outcome) == ("[exit code 7]", 7, "failed")
    result = await sh("sh -c 'kill -SEGV $$'")
    assert result.exit_code == 139
    assert result.text.endswith("[exit code 139 (SIGSEGV)]")


@pytest.mark.parametrize("how", ["export V%.0f=x;", "V%.0f=(x y);", "declare -r V%.0f=x;"])
async def test_tens_of_thousands_of_variables_delay_no_call(sh: Bench, how: str) -> None:
    await sh("cd /tmp")
    await sh(f"eval \"$(seq -f '{how}' 60000)\"")
    for command, text in [("echo $V59999", "x"), ("f() { echo f; }; f", "f"), ("pwd", "/tmp")]:
        assert (await sh(command)).text == text
        bash = sh.shell._bash
        assert bash
        bash._save()  # as when the shell is idle; it would take seconds, in which no command can run
        assert not bash._is_saved
    assert "variables, functions and options are" in (await sh("exit 3")).text
    assert (await sh("pwd")).text == "/tmp"
