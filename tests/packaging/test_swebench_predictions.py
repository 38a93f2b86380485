"""The predictions for SWE-bench: a patch is what git prints, applies, and has all changes of the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.testing.model_server import ModelServer, Scripted, Turn
from agent_runtime.testing.runtime import environment
from tests.support.runs import bash

SCRIPT = Path(__file__).parents[2] / "examples/swebench_predictions.py"
MODEL = "anthropic:claude-sonnet-4-5"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        folder = tmp_path / "repositories" / name
        folder.mkdir(parents=True)
        (folder / "a.py").write_text("one\ntwo\nthree\n")
        (folder / "gone.py").write_text("old\n")
        (folder / ".gitignore").write_text("*.log\n")
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "base")
    return tmp_path / "repositories"


def predict(repositories: Path, script: list[Scripted], *ids: str) -> list[dict[str, str]]:
    """Write the predictions; returns all that the file has."""
    folder = repositories.parent
    rows = [
        {
            "instance_id": id,
            "problem_statement": "It fails.",
            "base_commit": git(repositories / id, "rev-list", "--max-parents=0", "HEAD").strip(),
        }
        for id in ids
    ]
    (folder / "instances.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = folder / "predictions.ndjson"
    command = [
        sys.executable,
        SCRIPT,
        folder / "instances.ndjson",
        repositories,
        "-o",
        output,
        "--model",
        MODEL,
    ]
    with ModelServer(script) as server:
        env = environment(server.environ("anthropic"), folder / "state") | {"PATH": os.environ["PATH"]}
        subprocess.run(list(map(str, command)), env=env, check=True, capture_output=True, timeout=60)
    return [json.loads(line) for line in output.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    "command",
    [
        "sed -i s/two/zwei/ a.py",
        "echo new > 'päth with space.py'; rm gone.py; chmod +x a.py; echo x > x.log",
        "git mv a.py b.py; ln -s b.py link; git mv gone.py moved.py",
        "echo x >> a.py; git add -A; git -c user.name=m -c user.email=m@localhost commit -qm done; echo y >> a.py",
        "head -c 300 /dev/urandom > data.bin; printf 'no newline' > a.py",
        "printf 'caf\\351\\n' > latin.py; echo x >> a.py",  # not UTF-8
        "git config diff.noprefix true; git config color.ui always; git config diff.external false; echo x >> a.py",
        "true",
    ],
)
def test_the_patch_gives_the_files_of_the_run(command: str, repositories: Path, tmp_path: Path) -> None:
    [row] = predict(repositories, [bash(command), Turn(text="done")], "one")
    assert (row["instance_id"], row["model_name_or_path"]) == ("one", MODEL)
    before, after = repositories / "two", repositories / "one"
    patch = tmp_path / "patch"
    patch.write_text(row["model_patch"], "utf-8")
    if row["model_patch"]:
        git(before, "apply", str(patch))
    assert contents(before) == {name: text for name, text in contents(after).items() if name != "x.log"}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.lstat().st_mode)
        for path in folder.rglob("*")
        if ".git" not in path.parts and path.is_file()
    }


def test_the_patch_is_what_git_diff_prints(repositories: Path) -> None:
    change = bash("sed -i s/two/zwei/ a.py; mv gone.py moved.py; echo new > new.py")
    [row] = predict(repositories, [change, Turn(text="done")], "one")
    assert git(repositories / "one", "diff", "--cached") == ""  # the index is unchanged
    git(repositories / "one", "add", "--all")
    assert row["model_patch"] == git(repositories / "one", "diff", "--cached")


def test_an_interrupted_evaluation_goes_on(repositories: Path) -> None:
    predict(repositories, [bash("echo 1 >> a.py"), Turn(text="done")], "one")
    with (repositories.parent / "predictions.ndjson").open("a") as file:
        file.write('{"instance_id": "tw')
    rows = predict(repositories, [bash("echo 2 >> a.py"), Turn(text="done")], "one", "two")
    assert [row["instance_id"] for row in rows] == ["one", "two"]
    assert "+1" in rows[0]["model_patch"] and "+2" in rows[1]["model_patch"]
