"""What keeping a run costs: `python benchmarks/recording.py [TURNS] [REPEATS]`. Prints one JSON object.

The same scripted run is executed with and without `--no-record`, alternately; each turn is one call of a shell that is
running already. `ms_per_turn` is the median difference between the CPU times of the two (of the process without its
children), for a run of TURNS (200) turns and for one of half as many: it must not grow with the length of a run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent_runtime.testing.model_server import ModelServer, Turn
from agent_runtime.testing.runtime import environment

# a process that reports its own CPU time, not that of its children
_PROGRAM = (
    "import sys, resource\n"
    "from agent_runtime.cli.main import main\n"
    "try:\n    code = main(sys.argv[1:])\n"
    "except SystemExit as end:\n    code = end.code\n"
    "used = resource.getrusage(resource.RUSAGE_SELF)\n"
    "print('CPU', used.ru_utime + used.ru_stime, file=sys.stderr)\n"
)


def cpu_seconds(folder: Path, turns: int, *options: str) -> float:
    """The CPU time of a run."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    calls = [Turn(calls=[("bash", {"command": f"echo {number}"})]) for number in range(turns - 1)]
    config: dict[str, Any] = {"prompt": "go", "config": {"maxTurns": turns + 1}}
    with ModelServer([*calls, Turn(text="done")]) as model:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, "run", "--workspace", str(workspace), *options],
            input=json.dumps(config).encode(),
            capture_output=True,
            env=environment(model.environ("anthropic"), folder),
            check=False,
        )
    assert b'"status":"completed"' in done.stdout, done.stderr.decode()
    return float(done.stderr.rsplit(b"CPU ", 1)[1])


def main(turns: int, repeats: int) -> None:
    """Measure, and print the result."""
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (turns // 2, turns):
            kept, not_kept = [], []
            for _ in range(repeats):
                kept.append(cpu_seconds(Path(folder), count))
                not_kept.append(cpu_seconds(Path(folder), count, "--no-record"))
            differences = [one - other for one, other in zip(kept, not_kept, strict=True)]
            result[f"ms_per_turn_of_{count}"] = round(statistics.median(differences) / count * 1000, 3)
            result[f"whole_ms_per_turn_of_{count}"] = round(statistics.median(kept) / count * 1000, 3)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [200, 5][len(given) :]))
