"""What a standby imports ahead of its runs."""

from __future__ import annotations

import subprocess
import sys

WARM_UP = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pytest", "_pytest", "uvicorn"}:  # the extra [mcp] has starlette
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Refused())
from agent_runtime.cli.standby.warmup import warm_up
warm_up()
print(*sorted(sys.modules))
"""


def test_a_standby_needs_neither_the_test_kit_nor_the_web_server() -> None:
    done = subprocess.run([sys.executable, "-c", WARM_UP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert {"agent_runtime.engine.run", "agent_runtime.shell.shell"} <= imported
    assert not {
        name for name in imported if name.startswith(("agent_runtime.server.", "agent_runtime.testing."))
    }
