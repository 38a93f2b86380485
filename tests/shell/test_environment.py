"""Commands get nothing of the runtime: keys, descriptors, signal state, terminal (opencode#43336)."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from pathlib import Path

import pytest

from agent_runtime.shell.environment import json_variables, tool_environment
from tests.support.permissions import let_others_enter

from .conftest import Bench, make_shell

pytestmark = pytest.mark.anyio


def test_keys_are_hidden() -> None:
    inherited = {
        "ANTHROPIC_API_KEY": "sk-ant-secret",
        "ANTHROPIC_AUTH_TOKEN": "token-secret",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Gateway-Key: header-secret",
        "OPENAI_CUSTOM_HEADERS": "X-Gateway-Key: header-secret",
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


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        *(
            (name, True)
            for name in ("OPENAI_API_KEY_2", "AZURE_OPENAI_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "GOOGLE_API_KEY")
        ),
        *(
            (name, False)
            for name in ("GOOGLE_CLIENT_SECRET", "GOOGLE_MAPS_API_KEY", "GOOGLE_TOKEN_URI", "HF_TOKEN")
        ),
        *(
            (name, False)
            for name in ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", "OPENAI_MAX_TOKENS", "NVIDIA_VISIBLE_DEVICES")
        ),
    ],
)
def test_only_keys_of_model_providers_are_hidden(name: str, hidden: bool) -> None:
    assert (name not in tool_environment({name: "value"}, extra={}, hidden=[])) == hidden


KEY = "sk-0123456789abcdef"


@pytest.mark.parametrize(
    ("key", "value", "hidden"),
    [
        (KEY, KEY, True),
        (KEY, f"https://user:{KEY}@host/path", True),
        (KEY, f"https://host/?key={KEY}", True),
        (KEY, f"a b,{KEY};c", True),
        (KEY, f"/opt/{KEY}/bin:/bin", False),
        ("lm-studio", "/root/.cache/lm-studio/bin:/bin", False),
        ("lm-studio", "lm-studio", False),
        ("not-needed", "x=not-needed", False),
        ("ollama", "http://ollama:11434", False),
        ("sk-no-key-required", "~/sk-no-key-required/bin:./sk-no-key-required", False),
    ],
)
def test_a_variable_that_holds_a_key_is_hidden_and_a_path_is_not(key: str, value: str, hidden: bool) -> None:
    environment = tool_environment({"OPENAI_API_KEY": key, "PATH": value}, extra={}, hidden=[])
    assert ("PATH" not in environment) == hidden


@pytest.mark.parametrize("name", ["GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "SSH_ASKPASS", "SUDO_ASKPASS"])
def test_variables_that_point_to_credentials_are_kept(name: str) -> None:
    assert tool_environment({name: "/opt/token"}, extra={}, hidden=[])[name] == "/opt/token"


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUTF8",
        "PYTHONHASHSEED",
        "PYTHONPATH",
        "PYTHONWARNINGS",
    ],
)
def test_the_variables_of_the_images_python_are_kept(name: str) -> None:
    assert tool_environment({name: "1"}, extra={}, hidden=[])[name] == "1"


@pytest.mark.parametrize("inherited", [{}, dict.fromkeys(["HOME", "USER", "LOGNAME", "SHELL", "PATH"], "")])
def test_a_bare_environment_gets_what_login_sets(inherited: dict[str, str]) -> None:
    environment = tool_environment(inherited, extra={}, hidden=[])
    entry = pwd.getpwuid(os.geteuid())
    assert (environment["HOME"], environment["USER"], environment["LOGNAME"]) == (
        entry.pw_dir,
        *[entry.pw_name] * 2,
    )
    assert environment["PATH"] and environment["SHELL"]


def test_another_user_gets_no_variables_of_this_user() -> None:
    inherited = {
        "HOME": "/root",
        "USER": "root",
        "MAIL": "/var/mail/root",
        "XDG_CONFIG_HOME": "/root/.config",
        "A": "b",
    }
    environment = tool_environment(inherited, extra={}, hidden=[], user="nobody")
    assert environment["USER"] == environment["LOGNAME"] == "nobody" and environment["A"] == "b"
    assert "root" not in "".join(
        [environment["HOME"], environment.get("MAIL", ""), environment.get("XDG_CONFIG_HOME", "")]
    )


@pytest.mark.parametrize("length", [10, 131_000, 131_100, 5_000_000])
def test_an_object_of_any_size_reaches_the_tools(length: int, tmp_path: Path) -> None:
    value = {"doc": "é" * length}
    variables = json_variables({"AGENT_CONTEXT": value, "AGENT_PARAMS": None}, tmp_path / "logs")
    ((name, text),) = variables.items()
    done = subprocess.run(
        ["sh", "-c", 'printf %s "${AGENT_CONTEXT:-}"'], env=variables, capture_output=True, check=True
    )
    assert json.loads(done.stdout or Path(text).read_text()) == value
    assert name == ("AGENT_CONTEXT" if done.stdout else "AGENT_CONTEXT_FILE")


def test_variables_that_execve_refuses_are_left_out() -> None:
    environment = tool_environment(
        {}, extra={"": "x", "a=b": "x", "n\0": "x", "v": "\0", "long": "é" * 65_600, "ok": "é"}, hidden=[]
    )
    assert [environment.get(name) for name in ("", "a=b", "n\0", "v", "long", "ok")] == [None] * 5 + ["é"]


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


async def test_signals_are_neither_ignored_nor_blocked(home: Path) -> None:
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


async def test_commands_have_no_terminal(sh: Bench) -> None:
    result = await sh("tty; : </dev/tty; ps -o tty= -p $$")
    assert result.text.split("\n")[0] == "not a tty"
    assert "No such device" in result.text
    assert result.text.endswith("?")


async def test_standard_streams_can_be_opened_again(sh: Bench) -> None:
    result = await sh("echo one > /dev/stdout; echo two > /dev/stderr; echo three | tee /dev/stderr")
    assert result.text == "one\ntwo\nthree\nthree"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may start commands as another user")
async def test_commands_run_as_another_user(home: Path) -> None:
    let_others_enter(home)
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


GIT = "git -c user.name=n -c user.email=e@x"


async def test_git_uses_the_configured_ssh_and_does_not_prompt(sh: Bench) -> None:
    await sh("git init -q . && git config core.sshCommand 'echo MY-KEY >&2; false'")
    assert "MY-KEY" in (await sh("git ls-remote git@127.0.0.1:x/y")).text


async def test_git_runs_the_editor_that_a_command_names(sh: Bench) -> None:
    await sh(f"git init -q .; for n in 1 2 3; do {GIT} commit -q --allow-empty -m c$n; done")
    await sh("git -c sequence.editor='sed -i 1s/pick/drop/' rebase -q -i HEAD~2")
    assert (await sh("git log --format=%s")).text.split() == ["c3", "c1"]
    result = await sh(
        f"{GIT} rebase -q -i HEAD~1 && git log --format=%s"
    )  # without an editor nothing is changed
    assert result.text.split() == ["c3", "c1"]
