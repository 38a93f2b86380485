"""Nothing can ask a question and wait for the answer (gemini-cli#22465, opencode#42773)."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator

import pytest

from .conftest import Bench

pytestmark = pytest.mark.anyio


class _Private(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=private")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def private() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Private)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/x.git"
    server.shutdown()
    thread.join()
    server.server_close()


async def at_once(sh: Bench, command: str) -> str:
    """The output of a command that waits for nothing: it has ended before its time is over."""
    program = command.split()[0]
    if shutil.which(program) is None and program not in ("read", "select"):
        pytest.skip(f"{program} is not installed")
    result = await sh(command)
    assert result.outcome in ("completed", "failed")
    return result.text


@pytest.mark.parametrize(
    "command",
    [
        "read answer",
        "read -p 'Continue? ' answer </dev/tty",
        "select x in a b; do break; done",
        "python3 -c 'input(\"name: \")'",
        "python3 -c 'import getpass; getpass.getpass()'",
        "python3",
        "cat",
        "less /etc/passwd",
        "more /etc/passwd",
        "vi /tmp/none",
        "nano /tmp/none",
        "passwd",
        "su -c true nobody",
        "sudo -k true",
        "ssh -p 1 nobody@127.0.0.1 true",
        "ssh-keygen -f key",
        "gpg --gen-key",
        "crontab -e",
        "visudo",
        "man bash",
        "top",
        "bash",
        "openssl enc -aes-256-cbc -in /etc/passwd",
        "openssl genrsa -aes256 2048",
        "script -qc 'read answer </dev/tty' /dev/null",
    ],
)
async def test_commands_that_would_prompt_return_at_once(sh: Bench, command: str) -> None:
    await at_once(sh, command)
    assert (await sh("echo next")).text == "next"


async def test_git_does_not_ask_for_credentials(sh: Bench, private: str) -> None:
    text = await at_once(sh, f"git clone {private} there")
    assert "fatal:" in text


async def test_git_needs_no_pager_and_no_editor_and_keeps_its_identity(sh: Bench) -> None:
    await sh(
        "export HOME=$PWD; git config --global user.name Ada; git config --global user.email ada@example.org"
    )
    await sh(
        "git init -q repo && cd repo && seq 500 > f && git add f && git commit -qm first && seq 2 600 > f"
    )
    text = await at_once(sh, "git diff")
    assert text.startswith("diff --git a/f b/f\n")
    assert text.endswith("+600")
    assert "\x1b" not in text
    await at_once(sh, "git commit -qam second; git commit -q --amend; git rebase -i --root")
    assert (
        await at_once(sh, "git log --format=%an:%ae:%s")
        == "Ada:ada@example.org:second\nAda:ada@example.org:first"
    )
    assert await at_once(sh, "git log -p --oneline | wc -l") != "0"


async def test_vim_with_commands_still_runs(sh: Bench) -> None:
    (sh.home / "f").write_text("hi\n")
    await at_once(sh, "vim -c %s/hi/ho/ -c wq f")
    assert (sh.home / "f").read_text() == "ho\n"


async def test_npm_init_does_not_ask(sh: Bench) -> None:
    await at_once(sh, "npm init")
    assert (sh.home / "package.json").exists()


async def test_apt_does_not_ask(sh: Bench) -> None:
    await at_once(sh, "apt-get remove --simulate bash")
