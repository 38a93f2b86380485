"""What a run costs, from launch to end, beside a bare Python loop and other programs, in one table.

python benchmarks/runs.py [-o FILE.json] [--peers] [--peer NAME=COMMAND ...] [--long] [--repeat N] [--only WORD]

`--peers` adds the programs that benchmarks/peers/install has installed. A peer's COMMAND is run by sh in an empty
folder. It finds the model server in ANTHROPIC_BASE_URL and OPENAI_BASE_URL (and in MODEL_URL, without a path), and must
do one task with its shell tool, without asking. Everything is measured in the same minutes on the same machine: compare
columns, not tables of different days. `--long` adds 1,000 turns and 500 MB of output.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

from own_rows import own_rows
from scripted_model import Arrival, ScriptedModel

FLOOR, OURS = "floor", "agent-runtime"
MODELS = {
    "Messages": "anthropic:claude-sonnet-4-5",
    "Responses": "openai:gpt-5.2",
    "Chat": "openai-chat:gpt-5.2",
}
RUNTIME = [sys.executable, "-I", "-m", "agent_runtime", "run", "--prompt", "go", "--max-turns", "2000"]
TIMEOUT = 600
SERVER = "python3 -m http.server 0 & sleep 0.1; echo started"


@dataclass
class Program:
    """A program to measure. `command`: with the URL of the model server, by format."""

    name: str
    command: Callable[[str, str], Sequence[str]]
    formats: Sequence[str] = ("Messages",)


@dataclass
class Result:
    """One run: seconds from launch to exit, CPU seconds and the peak kB of its largest process, and its requests."""

    launched: float
    seconds: float
    cpu: float
    peak: int
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def answers(self) -> list[float]:
        """Seconds from each answer to the next request."""
        return [each.at - each.answered for each in self.arrivals if each.answered is not None]


def run(program: Program, format: str, commands: Sequence[str], *, memory: bool = False) -> Result:
    """Run the program on a script of commands. Raises RuntimeError when it does not follow the script."""
    folder = Path(tempfile.mkdtemp(prefix="runs-"))
    with ScriptedModel(commands) as model:
        model.sample_memory = memory
        (folder / "work").mkdir()
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MODEL_URL": model.url,
            "ANTHROPIC_BASE_URL": model.url,
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "ANTHROPIC_API_KEY": "sk-ant-loopback-0123456789",
            "OPENAI_API_KEY": "sk-loopback-0123456789",
            "AGENT_RUNTIME_MODEL": MODELS[format],
        }
        launched = time.perf_counter()
        with subprocess.Popen(
            program.command(model.url, format),
            cwd=folder / "work",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            model.pid = process.pid
            watchdog = threading.Timer(TIMEOUT, _kill, [process.pid])
            watchdog.start()
            _, _, used = os.wait4(process.pid, 0)
            watchdog.cancel()
            process.returncode = 0
        seconds = time.perf_counter() - launched
    shutil.rmtree(folder, ignore_errors=True)
    _kill(process.pid)  # servers that it left running
    if len(model.arrivals) != len(commands) + 1:
        raise RuntimeError(f"{program.name} made {len(model.arrivals)} requests, not {len(commands) + 1}")
    return Result(launched, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss, model.arrivals)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


Row = Callable[[Program], "float | None"]


def rows(repeat: int, *, long: bool) -> dict[str, Row]:
    """The rows of the table, by their names."""

    measured: dict[tuple[str, str, tuple[str, ...], bool], list[Result]] = {}

    def results(program: Program, format: str, commands: Sequence[str], memory: bool) -> list[Result]:
        key = (program.name, format, tuple(commands), memory)
        if key not in measured:
            measured[key] = [run(program, format, commands, memory=memory) for _ in range(repeat)]
        return measured[key]

    def best(
        value: Callable[[Result], float], commands: Sequence[str], format: str = "", *, memory: bool = False
    ) -> Row:
        def measure(program: Program) -> float | None:
            if format and format not in program.formats:
                return None
            of = results(program, format or program.formats[0], commands, memory)
            return median(map(value, of))

        return measure

    def growth(turns: int) -> Row:
        return best(_growth, ["true"] * turns)

    ten = ["true"] * 10
    table: dict[str, Row] = {}
    for format in MODELS:
        table[f"launch to first request, {format} (ms)"] = best(_to_first, [], format)
    for format in MODELS:
        table[f"answer to next request, one `true`, {format} (ms)"] = best(
            lambda result: median(result.answers) * 1e3, ten, format
        )
    table |= {
        "whole run of 10 turns (ms)": best(lambda result: result.seconds * 1e3, ten),
        "CPU of a run of 10 turns (ms)": best(lambda result: result.cpu * 1e3, ten),
        "peak memory, largest process (MB)": best(lambda result: result.peak / 1024, ten),
        "PSS at the last request (MB)": best(lambda result: result.arrivals[-1].pss / 1024, ten, memory=True),
        "first request (kB)": best(lambda result: result.arrivals[0].size / 1000, []),
        "growth of CPU per turn, 200 turns (last 20 / first 20)": growth(200),
        "23 MB of output (ms)": best(lambda result: result.answers[0] * 1e3, ["yes | head -c 23M"]),
        "a server left running (ms)": best(_server, [SERVER]),
    }
    for name, measure in own_rows().items():
        table[name] = partial(_only_ours, measure)
    if long:
        table["growth of CPU per turn, 1,000 turns"] = growth(1000)
        table["500 MB of output (ms)"] = best(lambda result: result.answers[0] * 1e3, ["yes | head -c 500M"])
    return table


def _only_ours(measure: Callable[[], float], program: Program) -> float | None:
    return measure() if program.name == OURS else None


def _to_first(result: Result) -> float:
    return (result.arrivals[0].at - result.launched) * 1e3


def _server(result: Result) -> float:
    return result.answers[0] * 1e3


def _growth(result: Result) -> float:
    cpu = [each.cpu for each in result.arrivals]
    turns = [after - before for before, after in pairwise(cpu)]
    return median(turns[-20:]) / median(turns[1:21])


def machine() -> dict[str, object]:
    """What the numbers depend on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memoryMB": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


# the format that each speaks
_FORMATS = {"codex": ("Responses",), "claude": ("Messages",), "pi": ("Messages",), "opencode": ("Messages",)}


def _installed() -> list[str]:
    """The peers that are installed, as NAME=COMMAND. Raises ValueError when there are none."""
    folder = Path(__file__).resolve().parent / "peers"
    binaries = folder / "installed" / "node_modules" / ".bin"
    found = [f"{name}={folder / name}" for name in _FORMATS if (binaries / name).exists()]
    if not found:
        raise ValueError(f"no peer is installed: run {folder / 'install'}")
    return found


def programs(peers: Sequence[str]) -> list[Program]:
    """The floor, this project, and the peers. Raises ValueError for a peer that is not NAME=COMMAND."""
    found = [
        Program(
            FLOOR, lambda url, format: [sys.executable, "-I", str(Path(__file__).with_name("floor.py")), url]
        ),
        Program(OURS, lambda url, format: RUNTIME, tuple(MODELS)),
    ]
    for peer in peers:
        name, equals, command = peer.partition("=")
        if not (name and equals and command):
            raise ValueError(f"expected NAME=COMMAND: {peer!r}")
        found.append(Program(name, partial(_shell_command, command), _FORMATS.get(name, tuple(MODELS))))
    return found


def _shell_command(command: str, url: str, format: str) -> list[str]:
    return ["sh", "-c", f"exec {command}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, help="write the results as JSON too")
    parser.add_argument(
        "--peers", action="store_true", help="those that benchmarks/peers/install has installed"
    )
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--long", action="store_true", help="1,000 turns and 500 MB of output too")
    parser.add_argument("--repeat", type=int, default=5, help="runs for each number; the median counts")
    parser.add_argument("--only", default="", help="rows with this word in their names")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    columns = programs([*(_installed() if given.peers else ()), *given.peer])
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, load {about['load'][0]:.1f}")  # type: ignore[index]
    print("| what | " + " | ".join(program.name for program in columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    table: dict[str, dict[str, float | str | None]] = {}
    for name, row in rows(given.repeat, long=given.long).items():
        if given.only not in name:
            continue
        table[name] = {program.name: _value(row, program, name) for program in columns}
        print(f"| {name} | " + " | ".join(map(_shown, table[name].values())) + " |", flush=True)
    if given.output:
        given.output.write_text(json.dumps({"machine": about, "rows": table}, indent=1) + "\n")


def _value(row: Row, program: Program, name: str) -> float | str | None:
    if program.name == FLOOR and "server" in name:
        return "hangs"  # it reads until the pipe is closed, which the server holds
    try:
        return row(program)
    except (RuntimeError, OSError) as error:
        return f"failed: {error}"


def _shown(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


if __name__ == "__main__":
    main()
