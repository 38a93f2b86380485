"""What the shell costs: `python benchmarks/shell.py`. Prints one JSON object.

- `true`: median and 95th percentile of 200 sequential calls, in milliseconds.
- `flood`: megabytes of output read in a call, its seconds, those of `bash -c '... | cat >/dev/null'`, their
  ratio, and by how many megabytes the resident memory grew.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from agent_runtime.shell.environment import tool_environment
from agent_runtime.shell.settings import ShellSettings
from agent_runtime.shell.shell import Shell
from agent_runtime.shell.truncation import OutputStore

CALLS = 200


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def timed(shell: Shell, command: str) -> float:
    began = time.perf_counter()
    await shell.run(command, timeout=600, call_id="bench", tokens=10_000)
    return time.perf_counter() - began


async def calls(shell: Shell) -> dict[str, float]:
    await timed(shell, "true")
    took = [await timed(shell, "true") * 1000 for _ in range(CALLS)]
    quantiles = statistics.quantiles(took, n=20)
    return {"calls": CALLS, "median_ms": round(statistics.median(took), 2), "p95_ms": round(quantiles[-1], 2)}


async def flood(shell: Shell, megabytes: int) -> dict[str, float]:
    source = f"yes | head -c {megabytes}M"
    plain, ours, grown = [], [], 0
    for _ in range(3):
        began = time.perf_counter()
        await anyio.run_process(["bash", "-c", f"{source} | cat >/dev/null"])
        plain.append(time.perf_counter() - began)
        before = resident()
        ours.append(await timed(shell, source))
        grown = max(grown, resident() - before)
    return {
        "megabytes": megabytes,
        "seconds": round(min(ours), 2),
        "cat_seconds": round(min(plain), 2),
        "ratio": round(min(ours) / min(plain), 2),
        "rss_growth_mb": round(grown / 2**20, 1),
    }


async def main(megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        env = tool_environment(os.environ, extra={}, hidden=[])
        shell = Shell(ShellSettings(home, env, OutputStore(home)))
        result = {"true": await calls(shell), "flood": await flood(shell, megabytes)}
        await shell.aclose(kill=True)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 500)
