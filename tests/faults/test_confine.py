"""`--confine`: tools write inside the workspace, the mounts and the temporary folder, and nowhere else."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.engine.run_config import prepare
from agent_runtime.errors import RequestError
from agent_runtime.protocol.request import parse
from agent_runtime.system import landlock
from agent_runtime.testing.model_server import Call, ModelServer, Turn
from agent_runtime.testing.runtime import Json, Result
from tests.cli.standby.conftest import Running
from tests.faults.standby_runs import IDLE, StandbyRun, kill
from tests.support.permissions import let_others_enter
from tests.support.runs import bash
from tests.support.waiting import until

try:
    landlock.check()
except landlock.LandlockUnavailable as missing:
    pytestmark = pytest.mark.skip(reason=f"nothing can be confined here: {missing}")


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder in none of the places that tools may write to; pytest's own are in the temporary one."""
    path = Path(tempfile.mkdtemp(prefix=".confine-test-", dir=Path.home()))
    path.chmod(0o777)
    (path / "file").write_text("untouched\n")
    (path / "file").chmod(0o666)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def tools(standby: Running, tmp_path: Path) -> Tools:
    return Tools(standby, tmp_path)


class Tools:
    """Runs calls in a confined run."""

    def __init__(self, standby: Running, folder: Path) -> None:
        self.standby, self.folder = standby, folder
        self.workspace = folder / "workspace"
        self.workspace.mkdir()

    def run(self, *turns: Turn, **fields: object) -> Result:
        request: Json = {"confine": True} | fields
        with ModelServer([*turns, Turn(text="ok")]) as server:
            self.trial = StandbyRun(self.standby, request, server.environ("anthropic"), self.folder)
            done = self.trial.end()
        assert done.code == 0, done.events
        return done

    def bash(self, command: str) -> str:
        (result,) = self.run(bash(command)).of("tool_result")
        output: str = result["output"]
        return output


WAYS_OUT = {
    "redirection": "echo x > {}/new",
    "append": "echo x >> {}/file",
    "truncate": ": > {}/file",
    "truncate-call": "python3 -c 'import os; os.truncate(\"{}/file\", 0)'",
    "python": 'python3 -c \'open("{}/new", "w")\'',
    "folder": "mkdir {}/new",
    "symlink-into": "ln -s {}/file link && echo x > link",
    "symlink-folder": "ln -s {} way && echo x > way/new",
    "symlink-made": "ln -s /etc/passwd {}/new",
    "hard-link-in": "ln {0}/file hard && echo x > hard",
    "hard-link-out": "echo x > mine && ln mine {}/new",
    "rename-out": "echo x > mine && mv mine {}/new",
    "rename-in": "mv {}/file taken",
    "delete": "rm -f {}/file",
    "fifo": "mkfifo {}/new",
    "socket": "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"{}/new\")'",
    "new-session": "setsid bash -c 'echo x > {}/new'",
    "double-fork": "(setsid bash -c '(echo x > {}/new; touch tried) &' &); until [ -e tried ]; do sleep 0.02; done",
    "subshell-cd": "(cd {} && echo x > new)",
    "dev-fd": "exec 9<{}/file; echo x > /dev/fd/9",
    "proc-root": "echo x > /proc/self/root{}/new",
    "a-new-shell": "exit 0",
    "mount": "mkdir m && mount --bind {} m && echo x > m/new",
    "chroot": "chroot / bash -c 'echo x > {}/new'",
    "runtime's-root": "echo x > /proc/$PPID/root{}/new",
    "unshared": "unshare -Urm bash -c 'echo x > {}/new'",
}


def test_no_shell_command_can_write_outside_of_the_workspace(tools: Tools, outside: Path) -> None:
    done = tools.run(*(bash(way.format(outside)) for way in WAYS_OUT.values()))
    assert len(done.of("tool_result")) == len(WAYS_OUT)
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"file": "untouched\n"}
    again = tools.bash(f"echo x > {outside}/new; echo done")
    assert "denied" in again and "done" in again and not (outside / "new").exists()


def test_writing_inside_of_the_workspace_is_unrestricted(tools: Tools, outside: Path) -> None:
    mount = outside / "mount"
    mount.mkdir()
    command = (
        f"cat {outside}/file && echo a > a && mkdir -p d/e && mv a d/e/ && ln d/e/a b && ln -s b c && echo x >> c"
        f" && rm -r d && echo m > {mount}/m && t=$(mktemp) && echo t > $t && mv $t moved && cat c moved {mount}/m"
        " && echo n > /dev/null && python3 -c 'import multiprocessing as m; m.Lock()'"
    )
    done = tools.run(bash(command), mounts=[{"workspaceId": "w", "path": str(mount)}])
    (result,) = done.of("tool_result")
    assert (result["exitCode"], result["output"].split()) == (0, ["untouched", "a", "x", "t", "m"])


EDITS: dict[str, Json] = {
    "create": {"command": "create", "path": "{}/new", "file_text": "x\n"},
    "replace": {"command": "str_replace", "path": "{}/file", "old_str": "untouched", "new_str": "x"},
    "through-a-link": {"command": "str_replace", "path": "link", "old_str": "untouched", "new_str": "x"},
    "through-a-folder": {"command": "create", "path": "way/new", "file_text": "x\n"},
    "up-and-out": {"command": "create", "path": "way/../{0.name}/new", "file_text": "x\n"},
    "insert": {"command": "insert", "path": "{}/file", "insert_line": 0, "insert_text": "x\n"},
}


def test_edit_tools_are_confined_too(tools: Tools, outside: Path) -> None:
    (tools.workspace / "link").symlink_to(outside / "file")
    (tools.workspace / "way").symlink_to(outside)
    name = "str_replace_based_edit_tool"
    calls = [{**edit, "path": edit["path"].format(outside)} for edit in EDITS.values()]
    patch = (
        f"*** Begin Patch\n*** Add File: {outside}/new\n+x\n*** Delete File: {outside}/file\n*** End Patch\n"
    )
    views = [{"command": "view", "path": "link"}]
    inside = [{"command": "create", "path": "fine", "file_text": "x\n"}]
    done = tools.run(
        Turn(calls=[Call(name, call) for call in [*views, *calls, *inside]]),
        Turn(
            calls=[
                Call("apply_patch", {"input": patch}),
                Call("write_file", {"path": f"{outside}/new", "content": "x"}),
            ]
        ),
        Turn(calls=[Call("delete_file", {"path": f"{outside}/file"})]),
        tools=[name, "apply_patch", "write_file", "delete_file"],
        config={"parallelTools": False},
    )
    wrong = [result["isError"] for result in done.of("tool_result")]
    assert wrong == [False, *[True] * len(EDITS), False, True, True, True]
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"file": "untouched\n"}


def test_sessions_and_background_processes_are_confined(tools: Tools, outside: Path) -> None:
    typed = {"session_id": 1, "chars": f"echo x > {outside}/new; echo t > typed\n", "yield_time_ms": 500}
    left = f"(sleep 0.2; echo up; echo x > {outside}/late; echo l > late; {IDLE}) & echo left"
    done = tools.run(
        Turn(calls=[Call("exec_command", {"cmd": "bash", "tty": True, "yield_time_ms": 300})]),
        Turn(calls=[Call("write_stdin", typed)]),
        Turn(calls=[Call("exec_command", {"cmd": f"echo x > {outside}/new; echo p > piped"})]),
        bash(left),
        bash("until [ -e typed ] && [ -e late ]; do sleep 0.02; done"),
        tools=["exec_command", "write_stdin", "bash"],
    )
    assert {p.name for p in outside.iterdir()} == {"file"}
    assert {p.name for p in tools.workspace.iterdir()} == {"typed", "piped", "late"}
    assert "left" in done.of("tool_result")[3]["output"]
    logs = tools.folder / "state"
    until(lambda: [p for p in logs.rglob("logs/*") if {"up", "left"} <= set(p.read_text().split())])
    kill(tools.trial.started())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run tools as another user")
def test_confinement_works_with_a_tool_user(tools: Tools, outside: Path, tmp_path: Path) -> None:
    let_others_enter(tmp_path)
    tools.workspace.chmod(0o777)
    done = tools.run(bash(f"id -un; echo x > mine; echo x > {outside}/new"), toolUser="nobody")
    (result,) = done.of("tool_result")
    assert result["output"].startswith("nobody") and (tools.workspace / "mine").owner() == "nobody"
    assert not (outside / "new").exists()


def test_caches_of_package_managers_are_in_writable_folders(tools: Tools) -> None:
    outcome = tools.bash(
        'for f in "$XDG_CACHE_HOME" "$npm_config_cache" "$PIP_CACHE_DIR"; do mkdir -p "$f" && echo ok; done'
    )
    assert outcome.split() == ["ok"] * 3
    assert tools.bash(f"XDG_CACHE_HOME={Path.home()}/c; mkdir $XDG_CACHE_HOME || echo no").split()[-1] == "no"


def test_a_kernel_without_landlock_refuses_confined_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise landlock.LandlockUnavailable(38, "Landlock: Function not implemented")

    monkeypatch.setattr(landlock, "check", check)
    request, _ = parse(
        {"prompt": "x", "workspace": str(tmp_path), "confine": True, "stateDir": str(tmp_path)}
    )
    with pytest.raises(RequestError, match="not implemented") as refused:
        prepare(request, {"ANTHROPIC_API_KEY": "sk-loopback"})
    assert refused.value.field == "confine"


def test_confinement_is_off_by_default(tools: Tools, outside: Path) -> None:
    tools.run(bash(f"echo x > {outside}/new"), confine=False)
    assert (outside / "new").exists()
