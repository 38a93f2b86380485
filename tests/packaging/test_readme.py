"""Every command in the README runs, in the order in which it stands there, against a loopback model.

A block below `<!-- test: syntax only, REASON -->` is only parsed.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_runtime.agent.tool import FunctionTool
from tests.support.model_server import ModelServer, Request, Turn

REPO = Path(__file__).parents[2]
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
    return kept | state | {"PATH": f"{bin}:{kept['PATH']}", "PIP_DRY_RUN": "1"}


def run(block: Block, cwd: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and output; nothing that the block started in the background outlives it."""
    command = ["bash", "-eu", "-o", "pipefail", *(["-n"] if block.syntax_only else []), "-c", block.code]
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
            output, _ = shell.communicate(timeout=120)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return shell.returncode, output


def test_every_command_of_the_readme_runs(checkout: Path, environment: dict[str, str]) -> None:
    shell_blocks = [block for block in blocks(REPO / "README.md") if block.language == "sh"]
    assert len(shell_blocks) >= 10
    with ModelServer([model], repeat_last=True) as server:
        # the model is the README's to choose: only addresses and keys come from here
        given = {k: v for k, v in server.environ("anthropic").items() if not k.startswith("AGENT_RUNTIME")}
        for block in shell_blocks:
            code, output = run(block, checkout, environment | given)
            assert code == 0, f"{block.code}\n{output[-4000:]}"
    assert server.violations == []
    assert len(server.requests) > 10
    assert "greet" in (checkout / "hello" / "greet.py").read_text()
    assert (checkout / "fresh" / "greet.py").read_text() == (checkout / "recorded" / "greet.py").read_text()


def test_the_tool_of_the_readme_is_a_tool() -> None:
    [code] = [block.code for block in blocks(REPO / "README.md") if block.language == "python"]
    namespace: dict[str, object] = {"__name__": "readme_tool"}
    exec(compile(code, "README.md", "exec", dont_inherit=True), namespace)
    tool = namespace["TOOL"]
    assert isinstance(tool, FunctionTool)
    assert tool.spec().parameters["required"] == ["path"]


@pytest.mark.parametrize("readme", ["README.md", "sandbox-image/README.md"])
def test_what_the_readmes_point_at_is_there(readme: str) -> None:
    text = (REPO / readme).read_text("utf-8")
    named = set(
        re.findall(
            r"`((?:\.\./)?(?:examples|scripts|tests|requirements|prompts|tools|sandbox-image)/[\w./-]*)`",
            text,
        )
    )
    named |= {f"agent_runtime/{name}" for name in re.findall(r"`agent_runtime/([\w./-]+)`", text)}
    where = (REPO / readme).parent
    missing = [
        name
        for name in named
        if "NAME" not in name and not ((where / name).exists() or (REPO / name).exists())
    ]
    assert missing == []


def test_the_readme_names_every_event_with_its_fields_and_every_exit_code() -> None:
    from typing import get_args

    from pydantic.alias_generators import to_camel

    from agent_runtime.errors import ErrorCode, ExitCode
    from agent_runtime.protocol.events import AnyEvent, Event, NoticeCode

    text = (REPO / "README.md").read_text("utf-8")
    table = text.partition("| type |")[2].partition("\n\n")[0].splitlines()
    rows = {name: row for row in table for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    missing = {}
    for kind in get_args(get_args(AnyEvent)[0]):
        name = kind.model_fields["type"].default
        fields = {to_camel(name) for name in kind.model_fields if name not in Event.model_fields}
        missing[name] = fields - {"type"} - set(re.findall(r"`(\w+)\??`", rows.get(name, "")))
    assert {name: fields for name, fields in missing.items() if fields} == {}
    assert set(get_args(NoticeCode)) - set(re.findall(r"`(\w+)`", rows["notice"])) == set()
    assert [code for code in get_args(ErrorCode) if f"`{code}`" not in text] == []
    section = text.partition("| exit code |")[2].partition("## ")[0]
    assert [
        int(code) for code in ExitCode if not re.search(rf"^\|[^|]*\b{int(code)}\b", section, re.MULTILINE)
    ] == []
