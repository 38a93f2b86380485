"""What a standby imports ahead of its runs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

EXTRAS = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text("utf-8"))[
    "project"
]["optional-dependencies"]

WARM_UP = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Refused())
from agent_runtime.cli.standby.warmup import warm_up
warm_up()
print(*sorted(sys.modules))
"""


def imported_without(packages: set[str]) -> set[str]:
    command = [sys.executable, "-c", WARM_UP, *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_standby_needs_neither_the_test_kit_nor_the_web_server() -> None:
    imported = imported_without({"pytest", "_pytest", "uvicorn"})  # the extra [mcp] has starlette
    assert {"agent_runtime.engine.run", "agent_runtime.shell.shell"} <= imported
    assert not {
        name for name in imported if name.startswith(("agent_runtime.server.", "agent_runtime.testing."))
    }


def test_a_standby_needs_no_extra() -> None:
    wanted = [wanted for extra, all in EXTRAS.items() if extra not in ("build", "dev") for wanted in all]
    extras = {re.split(r"[^\w-]", name)[0] for name in wanted}
    packages = {
        package
        for package, distributions in packages_distributions().items()
        if extras.intersection(distributions)
    }
    assert {"azure", "botocore", "google", "mcp", "nats"} <= packages
    assert "agent_runtime.engine.run" in imported_without(packages)


COMPLETE = """
import gc
import agent_runtime.engine.run
from agent_runtime import lazy
from agent_runtime.cli.standby.warmup import warm_up

def incomplete():
    classes = [each for each in gc.get_objects() if isinstance(each, type)]
    return [each for each in classes if "first_init" in getattr(each.__init__, "__qualname__", "")]

before = incomplete()
warm_up()
gc.unfreeze()
print(len(before), incomplete(), lazy._incomplete)
"""


def test_a_run_of_a_standby_has_no_class_and_no_pattern_to_complete() -> None:
    done = subprocess.run([sys.executable, "-c", COMPLETE], capture_output=True, text=True, check=True)
    before, after = done.stdout.split(maxsplit=1)
    assert int(before) > 10
    assert after.strip() == "[] []"
