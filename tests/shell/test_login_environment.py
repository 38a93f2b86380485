"""What login files add to the variables of the tools."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent_runtime.shell import login_environment
from agent_runtime.shell.login_environment import LoginEnvironment, merged
from agent_runtime.shell.shell import Shell
from agent_runtime.system.process_tree import children

from .conftest import Bench, settings

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _reads_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_environment, "READ_SECONDS", 60.0)


async def variables(home: Path, **files: str) -> dict[str, str]:
    """Those of a home directory with these files; `bashrc` is .bashrc."""
    for name, text in files.items():
        (home / f".{name}").write_text(text)
    base = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TERM": "dumb", "EDITOR": "true"}
    login = LoginEnvironment(base, fixed=["FIXED"], hidden=["HIDDEN"], user=None, confine=None)
    return dict(await login.variables())


@pytest.mark.parametrize(
    "files",
    [
        {"bash_profile": ". ~/.bashrc", "bashrc": "PATH=$HOME/opt/bin:$PATH"},
        {
            "profile": '[ -n "$BASH" ] && . ~/.bashrc',
            "bashrc": "PATH=~/opt/bin:$PATH",
        },
        {"bash_login": "export PATH=$PATH:$HOME/opt/bin"},
        {"bash_profile": "echo noise; echo noise >&2; PATH=$HOME/opt/bin; cd /"},
        {"bash_profile": "printf '\\0X=Y\\0'; PATH=$HOME/opt/bin:$PATH; sleep 300 & (setsid sleep 300 &)"},
    ],
)
async def test_login_files_extend_the_path_after_the_inherited_entries(
    home: Path, files: dict[str, str]
) -> None:
    found = await variables(home, **files)
    assert found["PATH"].split(":")[:2] == ["/usr/bin", "/bin"]
    assert f"{home}/opt/bin" in found["PATH"].split(":")
    assert [child.command for child in children(os.getpid()) if "sleep 300" in child.command] == []


async def test_new_variables_are_kept_and_others_are_not_changed(home: Path) -> None:
    exports = "export JAVA_HOME=/opt/java EDITOR=vim TERM=xterm FIXED=1 HIDDEN=2 OPENAI_API_KEY=k HISTSIZE=5 T='a\nb'"
    found = await variables(home, bash_profile=f"{exports}; alias x=y; f() {{ :; }}; export -f f; PS1=x")
    assert (found["JAVA_HOME"], found["T"]) == ("/opt/java", "a\nb")
    assert (found["EDITOR"], found["TERM"]) == ("true", "dumb")
    unwanted = {
        "FIXED",
        "HIDDEN",
        "OPENAI_API_KEY",
        "HISTSIZE",
        "PS1",
        "PWD",
        "SHLVL",
        "_",
        "AGENT_RUNTIME_CALL",
    }
    assert unwanted.isdisjoint(found) and not [name for name in found if name.startswith("BASH_FUNC")]


@pytest.mark.parametrize(
    "text", ["sleep 100", "exec cat /dev/zero", "exit 3", "exec false", "kill -9 $$", "if ("]
)
async def test_files_that_fail_or_hang_change_nothing(
    home: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text in ("sleep 100", "exec cat /dev/zero"):
        monkeypatch.setattr(login_environment, "READ_SECONDS", 0.3)
    found = await variables(home, bash_profile=f"export LATE=1\n{text}\n")
    assert found["PATH"].startswith("/usr/bin:/bin") and ("LATE" in found) == (text == "if (")


async def test_login_variables_reach_shells_and_sessions(home: Path) -> None:
    (home / ".bash_profile").write_text("export TOOL_HOME=/opt/tool")
    chosen = settings(home)
    base = {**chosen.env, "HOME": str(home)}
    login = LoginEnvironment(base, fixed=[], hidden=[], user=None, confine=None)
    shell = Shell(replace(chosen, env=base, login=login))
    try:
        assert (await Bench(shell, home)("echo $TOOL_HOME")).text == "/opt/tool"
    finally:
        await shell.aclose(kill=True)


def test_lists_of_folders_are_joined_without_repetition() -> None:
    base = {"PATH": "/a:/b", "LD_LIBRARY_PATH": "/l", "MODE": "x"}
    login = {"PATH": "/c:/a::/c:/d", "LD_LIBRARY_PATH": "/m:/l", "MODE": "y", "BIG": "x" * 140_000}
    assert merged(base, login, [], []) == {"PATH": "/a:/b:/c:/d", "LD_LIBRARY_PATH": "/l:/m", "MODE": "x"}
