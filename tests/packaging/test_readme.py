"""Every command of the documents runs, in their order, in one shell, against a loopback model.

A block below `<!-- test: syntax only, REASON -->` is only parsed.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from pydantic.alias_generators import to_camel

from agent_runtime.errors import ErrorCode, ExitCode
from agent_runtime.protocol.events import AnyEvent, Event, NoticeCode
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.shell.login_environment import SWITCH as LOGIN_FILES
from agent_runtime.testing.model_server import ModelServer, Request, Turn

REPO = Path(__file__).parents[2]
DOCUMENTS = [
    *(REPO / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "sandbox-image/README.md")),
    *sorted((REPO / "docs").glob("*.md")),
]
BLOCK = re.compile(
    r"(?:<!-- test: (?P<only>.*?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    syntax_only: bool


def blocks(path: Path) -> list[Block]:
    found = BLOCK.finditer(path.read_text("utf-8"))
    return [Block(m["language"], m["code"], (m["only"] or "").startswith("syntax only")) for m in found]


def model(request: Request, versions: Iterator[int] = itertools.count(1)) -> Turn:  # noqa: B008
    """Writes another greet.py by the shell tool that it has, then is content."""
    last = (request.body.get("messages") or request.body["input"])[-1]
    answered = last.get("role") == "tool" or "tool_result" in str(last) or "call_output" in str(last)
    shells = {"bash": "command", "exec_command": "cmd"}
    names = re.findall(r"'name': '(\w+)'", str(request.body.get("tools")))
    shell = next((name for name in names if name in shells), None)
    if answered or shell is None:
        return Turn(text="Done.")
    command = f"echo 'def greet(name): return name  # version {next(versions)}' >greet.py"
    return Turn(text="On it.", calls=[(shell, {shells[shell]: command})])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout after `make`, in which the README's commands may leave files.

    Its environment is this one, and must not be installed into: to make, nothing is newer than its stamps.
    """
    folder = tmp_path / "checkout"
    (folder / ".venv").mkdir(parents=True)
    for path in REPO.iterdir():
        if path.name not in (".git", ".venv"):
            (folder / path.name).symlink_to(path)
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in ("run.stamp", "dev.stamp"):
        (folder / ".venv" / stamp).touch()
        os.utime(folder / ".venv" / stamp, (2**32, 2**32))
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AGENT_RUNTIME", "PYTEST"))
    }
    bin = Path(sys.executable).parent
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    # a dry run: a mistake here installs nothing
    own = {"PATH": f"{bin}:{kept['PATH']}", "PIP_DRY_RUN": "1", LOGIN_FILES: "0"}
    return kept | state | own


def script(document: Path) -> str:
    """The shell blocks of a document as one script, each announced before it runs."""
    lines = []
    for block in blocks(document):
        if block.language == "sh" and not block.syntax_only:
            lines += [f"echo {shlex.quote('### ' + block.code)}", block.code]
    return "\n".join(lines)


def run(code: str, cwd: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and output; nothing that the script started in the background outlives it."""
    command = ["bash", "-eu", "-o", "pipefail", "-c", code]
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            output, _ = shell.communicate(timeout=150)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return shell.returncode, output


@pytest.mark.long
def test_every_command_of_the_documents_runs_in_one_shell(
    checkout: Path, environment: dict[str, str]
) -> None:
    with ModelServer([model], repeat_last=True) as server:
        # the README chooses the model: only addresses and keys are set here
        given = {k: v for k, v in server.environ("anthropic").items() if not k.startswith("AGENT_RUNTIME")}
        for name in ("README.md", "CONTRIBUTING.md"):
            code, output = run(script(REPO / name), checkout, environment | given)
            assert code == 0, output[-4000:]
    assert server.violations == []
    assert len(server.requests) > 10
    assert "greet" in (checkout / "hello" / "greet.py").read_text()
    assert (checkout / "fresh" / "greet.py").read_text() == (checkout / "recorded" / "greet.py").read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_parses(path: Path) -> None:
    for block in blocks(path):
        if block.language == "sh":
            subprocess.run(["bash", "-n", "-c", block.code], check=True)
        elif block.language == "python":
            compile(block.code, path.name, "exec", dont_inherit=True)


def test_the_python_program_of_the_readme_runs(tmp_path: Path, environment: dict[str, str]) -> None:
    [code] = [block.code for block in blocks(REPO / "README.md") if block.language == "python"]
    (tmp_path / "hello").mkdir()
    with ModelServer([Turn(calls=[("bash", {"command": "ls"})]), Turn(text="two")]) as server:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment | server.environ("anthropic"),
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.splitlines() == ["bash {'command': 'ls'}", "0 two"]


@pytest.mark.long
def test_the_tool_and_its_test_in_the_contributors_guide_work(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """In a copy: the tool is put where the guide says, and its test is run as it stands there."""
    tool, test = [block.code for block in blocks(REPO / "CONTRIBUTING.md") if block.language == "python"]
    copy = tmp_path / "copy"
    shutil.copytree(REPO / "agent_runtime", copy / "agent_runtime", symlinks=True)
    shutil.copytree(REPO / "tools", copy / "tools")
    shutil.copytree(REPO / "prompts", copy / "prompts")
    (copy / "tools" / "line_count.py").write_text(tool)
    (copy / "test_line_count.py").write_text(test)
    start = f"import sys; sys.path.insert(0, {str(copy)!r}); from agent_runtime.__main__ import main; main()"
    conftest = "import sys\n\nfrom agent_runtime.testing import scripted\n\n"
    (copy / "conftest.py").write_text(f"{conftest}scripted.COMMAND = (sys.executable, '-c', {start!r})\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_line_count.py"]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_table_of_providers_is_the_catalogue() -> None:
    text = (
        (REPO / "docs" / "reference.md").read_text("utf-8").partition("## Providers")[2].partition("## ")[0]
    )
    rows = re.findall(r"^\| `([\w-]+)` \| `(\w+)`", text, re.MULTILINE)
    assert rows == [(name, provider.key_variable) for name, provider in PROVIDERS.items()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_named_in_the_documents_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    named = set(
        re.findall(
            r"`((?:\.\./)?(?:examples|scripts|tests|requirements|prompts|tools|sandbox-image)/[\w./-]*)`",
            text,
        )
    )
    named |= {f"agent_runtime/{name}" for name in re.findall(r"`agent_runtime/([\w./-]+)`", text)}
    where = path.parent
    missing = [
        name
        for name in named
        if "NAME" not in name
        and "line_count" not in name
        and not ((where / name).exists() or (REPO / name).exists())
    ]
    assert missing == []


def test_the_reference_names_every_event_with_its_fields_and_every_exit_code() -> None:
    text = (REPO / "docs" / "reference.md").read_text("utf-8")
    table = text.partition("| type |")[2].partition("\n\n")[0].splitlines()
    rows = {name: row for row in table for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    missing = {}
    for kind in get_args(get_args(AnyEvent)[0]):
        name = kind.model_fields["type"].default
        fields = {to_camel(name) for name in kind.model_fields if name not in Event.model_fields}
        missing[name] = fields - {"type"} - set(re.findall(r"`(\w+)\??`", rows.get(name, "")))
    assert {name: fields for name, fields in missing.items() if fields} == {}
    notices = text.partition("| code of a `notice` |")[2].partition("\n\n")[0]
    assert [code for code in get_args(NoticeCode) if f"`{code}`" not in notices] == []
    assert [code for code in get_args(ErrorCode) if f"`{code}`" not in text] == []
    section = text.partition("| exit code |")[2].partition("## ")[0]
    assert [
        int(code) for code in ExitCode if not re.search(rf"^\|[^|]*\b{int(code)}\b", section, re.MULTILINE)
    ] == []
