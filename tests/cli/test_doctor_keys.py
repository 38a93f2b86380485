"""`doctor --keyless`: real keys are found in every place that tools can reach, placeholders are not taken for keys."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from agent_runtime.cli.doctor_keys import in_environment, in_files, in_processes, keys_in
from agent_runtime.testing.runtime import COMMAND

BODY = "A7fQ2mZ9xL4tB8wK1vR6nH3c"
REAL = [
    f"sk-ant-api03-{BODY}-{BODY}",
    f"sk-proj-{BODY}",
    f"sk-{BODY}",
    f"AIza{BODY}{BODY}",
    f"gsk_{BODY}",
    f"xai-{BODY}",
    f"GOCSPX-{BODY}",
]
PLACEHOLDERS = [
    *(
        "placeholder",
        "sk-ant-placeholder",
        "sk-ant-this-is-not-a-real-key-at-all",
        "none",
        "keyless",
        "dummy-key",
    ),
    *("sk-ant-00000000000000000000000000", "x" * 40, "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ""),
]


@pytest.mark.parametrize("key", REAL)
def test_keys_of_known_forms_are_found_in_any_variable(key: str) -> None:
    assert in_environment({"ANYTHING": f"prefix {key} suffix"})
    assert not any(BODY in begin for begin in keys_in(key.encode()))  # the report does not contain it


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholders_are_no_keys(value: str) -> None:
    assert in_environment({"ANTHROPIC_API_KEY": value, "OPENAI_API_KEY": value}) == []


def test_a_key_without_a_known_form_is_known_by_its_variable() -> None:
    assert in_environment({"MISTRAL_API_KEY": BODY}) and in_environment({"AWS_SECRET_ACCESS_KEY": BODY})
    assert not in_environment({"BUILD_ID": BODY})
    assert in_environment({"ANTHROPIC_API_KEY_FD": "3"})


def test_keys_of_other_processes_are_found(tmp_path: Path) -> None:
    for pid, (environ, line) in {
        "7": (f"A=1\0K={REAL[0]}\0", "x"),
        "8": ("A=1\0", f"run\0--key\0{REAL[1]}"),
    }.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "environ").write_text(environ)
        (tmp_path / pid / "cmdline").write_text(line)
    assert [found.place for found in in_processes(tmp_path)] == ["pid 7, K", "pid 8, command line"]


def test_keys_in_files_are_found_in_any_depth(tmp_path: Path) -> None:
    (tmp_path / "a/.b").mkdir(parents=True)
    (tmp_path / "a/.b/credentials").write_bytes(b"\0\xff" + REAL[0].encode() + b"\n")
    (tmp_path / "notes").write_text("sk-ant-... goes here")
    (tmp_path / "pipe").touch()
    os.mkfifo(tmp_path / "fifo")
    assert [found.place for found in in_files(tmp_path, float("inf"))] == [str(tmp_path / "a/.b/credentials")]


@pytest.mark.parametrize("place", ["", "variable", "home", "state", "workspace"])
def test_the_command_fails_for_a_key_in_each_place(place: str, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("home", "state", "workspace")}
    for folder in folders.values():
        folder.mkdir()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folders["home"]),
        "XDG_STATE_HOME": str(folders["state"]),
    }
    environ |= {"AGENT_RUNTIME_WORKSPACE": str(folders["workspace"]), "ANTHROPIC_API_KEY": "placeholder"}
    if place == "variable":
        environ["SOME_TOKEN"] = REAL[0]
    elif place:
        target = folders[place] / ("agent-runtime/runs/x/transcript" if place == "state" else ".config/x")
        target.parent.mkdir(parents=True)
        target.write_text(REAL[0])
    separated = [
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ]  # processes of other users
    command = [*separated, *COMMAND, "doctor", "--keyless", "--json"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    report = json.loads(done.stdout)
    assert (done.returncode, report["ready"]) == ((1, False) if place else (0, True)), report
    assert REAL[0] not in done.stdout.decode()
