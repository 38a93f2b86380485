"""Commands get nothing of the runtime: keys, descriptors, signal state, terminal (opencode#43336)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agent_runtime.shell.environment import tool_environment

from .conftest import Bench, make_shell

pytestmark = pytest.mark.anyio


def test_keys_are_hidden() -> None:
    inherited = {
        "ANTHROPIC_API_KEY": "sk-ant-secret",
        "ANTHROPIC_AUTH_TOKEN": "token-secret",
        "OPENAI_API_KEY": "sk-openai-secret",
        "AZURE_OPENAI_API_KEY": "azure-secret",
        "GEMINI_API_KEY": "gemini-secret",
        "GROQ_API_KEY": "groq-secret",
        "MY_MODEL_KEY": "custom-secret",
        "COPY": "x=sk-openai-secret",
        "OPENAI_BASE_URL": "http://127.0.0.1:1",
        "PATH": "/bin",
        "GITHUB_TOKEN": "the user's own",
        "AGENT_RUNTIME_MODEL": "m",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": "/the/user/s",
    }
    environment = tool_environment(inherited, extra={"A": "b", "PAGER": "mine"}, hidden=["MY_MODEL_KEY"])
    kept = {name: environment.get(name) for name in [*inherited, "A", "PAGER"]}
    assert {name: value for name, value in kept.items() if value is not None} == {
        "OPENAI_BASE_URL": "http://127.0.0.1:1",
        "PATH": "/bin",
        "GITHUB_TOKEN": "the user's own",
        "PYTHONPATH": "/the/user/s",
        "A": "b",
        "PAGER": "mine",
    }


def test_what_execve_refuses_is_left_out() -> None:
    environment = tool_environment(
        {}, extra={"": "x", "a=b": "x", "n\0": "x", "v": "\0", "ok": "é"}, hidden=[]
    )
    assert [environment.get(name) for name in ("", "a=b", "n\0", "v", "ok")] == [None, None, None, None, "é"]


async def test_no_descriptors_are_inherited(sh: Bench) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        result = await sh(
            "exec 3>&-; python3 -c 'import os; print(sorted(os.listdir(\"/proc/self/fd\"))[:-1])'"
        )
    finally:
        os.close(read)
        os.close(write)
    assert result.text == "['0', '1', '2']"


# 32 and 33 belong to the C library, whose posix_spawn (make uses it) leaves them ignored in what it starts
LIBC_SIGNALS = 1 << 31 | 1 << 32


async def test_signals_are_as_a_login_would_have_them(home: Path) -> None:
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    shell = make_shell(home)
    try:
        result = await Bench(shell, home)("sh -c 'grep -E \"Sig(Blk|Ign)\" /proc/self/status'; yes | head -1")
    finally:
        await shell.aclose(kill=True)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGHUP, hangup)
    *lines, printed = result.text.splitlines()
    masks = {name: int(bits, 16) & ~LIBC_SIGNALS for name, bits in (line.split(":") for line in lines)}
    assert (masks, printed) == ({"SigBlk": 0, "SigIgn": 0}, "y")


async def test_there_is_no_terminal(sh: Bench) -> None:
    result = await sh("tty; : </dev/tty; ps -o tty= -p $$")
    assert result.text.split("\n")[0] == "not a tty"
    assert "No such device" in result.text
    assert result.text.endswith("?")


async def test_standard_streams_can_be_opened_again(sh: Bench) -> None:
    result = await sh("echo one > /dev/stdout; echo two > /dev/stderr; echo three | tee /dev/stderr")
    assert result.text == "one\ntwo\nthree\nthree"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may start commands as another user")
async def test_commands_run_as_another_user(home: Path) -> None:
    for place in (home, *home.parents[:3]):
        place.chmod(0o755)
    shell = make_shell(home, user="nobody")
    try:
        bench = Bench(shell, home)
        result = await bench("id -un; id -Gn; echo $USER $LOGNAME; echo x > /dev/stderr; cd /; z=1")
        assert result.text == "nobody\nnogroup\nnobody nobody\nx"
        assert "Permission denied" in (await bench("touch /root/x")).text
        assert (await bench("pwd; echo $z; exit 4")).exit_code == 4
        assert (await bench("pwd; echo $z; sleep 60 & true")).text.startswith("/\n1\n[left running]")
        assert (await bench("sleep 60", timeout=0.3)).outcome == "timed_out"
    finally:
        await shell.aclose(kill=True)
