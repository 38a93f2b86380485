"""Signals of the caller that arrive while the program starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent_runtime.testing.runtime import environment, parse

START = """
import importlib.abc, os, sys
from agent_runtime import __main__

_, module, number = sys.argv

class Signalling(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Signalling())
sys.argv = ["agent-runtime", "run", "--prompt", "x"]
__main__.main()
"""


@pytest.mark.parametrize(
    ("module", "number", "code"),
    [
        ("argparse", 2, 130),
        ("argparse", 1, 143),
        ("agent_runtime.cli.main", 15, 143),
        ("agent_runtime.cli.run", 2, 130),
        ("agent_runtime.cli.run", 3, 143),
    ],
)
def test_a_signal_while_modules_are_imported_cancels(
    module: str, number: int, code: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START, module, str(number)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=tmp_path,
        env=environment({"ANTHROPIC_API_KEY": "k"}, tmp_path / "state"),
    )
    assert done.returncode == code, done.stderr
    complete = parse(done.stdout)[-1]
    assert (complete["type"], complete["status"]) == ("complete", "cancelled")
