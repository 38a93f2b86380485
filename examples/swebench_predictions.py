"""Predictions for SWE-bench: a run for each instance, and the changes of its repository as a patch.

    python examples/swebench_predictions.py INSTANCES.ndjson REPOSITORIES -o predictions.ndjson --model MODEL

INSTANCES has one instance of the data set a line (`instance_id`, `problem_statement`, `base_commit`). REPOSITORIES/ID
is the checkout of each instance at its base commit; it is a folder that can be thrown away, in a container of its own
if the model's commands are not trusted. A prediction is written as soon as its run has ended; instances that are in
the file already are skipped, so that an interrupted evaluation goes on.

`model_patch` is what `git diff` prints for all changes since the base commit: new files, deletions, modes, binary files
and what the model has committed, without what `.gitignore` excludes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio

from agent_runtime import api

PROMPT = (
    "Resolve this issue in the repository of the working directory. Change the code, not the tests, and check that the "
    "change works.\n\n"
)
# no program that the repository names in its configuration is run, and settings of the user do not change the format
GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=true")
DIFF = ("diff", "--cached", "--binary", "--no-ext-diff", "--no-textconv", "--no-color",
        "--src-prefix=a/", "--dst-prefix=b/", "--unified=3")  # fmt: skip


def model_patch(repository: Path, base: str) -> str:
    """Return all changes since a commit. The index of the repository is left alone. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        environ = os.environ | {"GIT_INDEX_FILE": f"{folder}/index"}

        def git(*arguments: str) -> bytes:
            command = [*GIT, "-C", str(repository), *arguments]
            return subprocess.run(command, env=environ, check=True, capture_output=True).stdout

        git("read-tree", base)
        git("add", "--all")
        patch = git(*DIFF, "--find-renames", base, "--")
        try:
            return patch.decode()
        except UnicodeDecodeError:  # a prediction is JSON: files in another encoding are binary patches in it
            Path(folder, "attributes").write_text("* -diff\n")
            as_binary = ("-c", f"core.attributesFile={folder}/attributes", *DIFF, "--no-renames")
            names = git("diff", "--cached", "--name-only", "--no-renames", "-z", base, "--").split(b"\0")[:-1]
            one = [(git(*DIFF, "--no-renames", base, "--", name), name) for name in map(_literal, names)]
            return "".join(
                (text if _is_utf8(text) else git(*as_binary, base, "--", name)).decode() for text, name in one
            )


def _literal(name: bytes) -> str:
    """A path as it is, not as a pattern of git."""
    return f":(top,literal){os.fsdecode(name)}"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def prediction(instance: dict[str, Any], repositories: Path, model: str) -> dict[str, Any]:
    """Run one instance; returns its prediction. A run that fails has the changes that it made until then."""
    repository = repositories / instance["instance_id"]
    request = {"prompt": PROMPT + instance["problem_statement"], "model": model}
    done = await api.collect(api.run(request, workspace=repository))
    print(f"{instance['instance_id']}: {done.complete.status} ({done.complete.stop_reason})", file=sys.stderr)
    return {
        "instance_id": instance["instance_id"],
        "model_name_or_path": model,
        "model_patch": model_patch(repository, instance.get("base_commit", "HEAD")),
    }


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file; half a line at its end, which an interrupted program has left, is skipped."""
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        if line.strip() and line.endswith(b"\n"):
            yield json.loads(line)


async def write_predictions(instances: Path, repositories: Path, output: Path, model: str) -> None:
    """Write the predictions that the file does not have yet, one run after another."""
    made = list(lines(output))
    known = {each["instance_id"] for each in made}
    output.write_text("".join(json.dumps(each) + "\n" for each in made), "utf-8")
    for instance in lines(instances):
        if instance["instance_id"] not in known:
            made_now = await prediction(instance, repositories, model)
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(made_now) + "\n")


def main() -> None:
    """Read the command line, and write the predictions."""
    parser = argparse.ArgumentParser(description="Write predictions for SWE-bench.")
    parser.add_argument("instances", type=Path)
    parser.add_argument("repositories", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", required=True)
    given = parser.parse_args()
    anyio.run(write_predictions, given.instances, given.repositories, given.output, given.model)


if __name__ == "__main__":
    main()
