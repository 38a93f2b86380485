"""What the change tracker costs, beside a bare os.scandir walk of the tree. Exits 1 when a bound is exceeded.

Run: python benchmarks/tracking.py [FILES]       (default 100,000)

Each case runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread

from agent_runtime.changes import file_edit_events
from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.protocol.events import FileEditEvent

GIT = (
    "git init -q -b main && git config gc.auto 0 && git add -A && "
    "git -c user.name=b -c user.email=b@example.com commit -qm one"
)
PER_FOLDER = 50


def main() -> int:
    if len(sys.argv) > 2:
        return case(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    worst = 0
    for name, count in (("bare", files), ("git", files), ("bare", files // 10), ("git", files // 10)):
        with tempfile.TemporaryDirectory(prefix="tracking-") as folder:
            command = [sys.executable, __file__, name, str(count), folder]
            worst |= subprocess.run(command, check=False).returncode
    return worst


def case(name: str, count: int, folder: Path) -> int:
    tree = folder / "tree"
    plant(tree, count)
    if name == "git":
        bash(
            f"{GIT}; find . -name .git -prune -o -exec touch -hd '1 hour ago' {{}} +; "
            "git update-index -q --refresh",
            tree,
        )
    walk(tree)
    bare = min(walk(tree) for _ in range(3))
    print(f"{count:,} files, {name}; a bare walk takes {bare * 1000:.0f} ms")
    assert file_edit_events  # imported before memory is measured: it is no part of the tree's cost
    memory = resident()
    tracker = ChangeTracker(tree, diff_dir=folder / "state" / "diffs")
    began = time.perf_counter()
    tracker.begin()
    delay = time.perf_counter() - began
    failed = [not report("begin (delays `start`)", delay, bare, bare + 0.3)]
    failed += anyio.run(after_begin, tracker, tree, bare, memory, name == "git")
    return int(any(failed))


async def after_begin(
    tracker: ChangeTracker, tree: Path, bare: float, memory: float, git: bool
) -> list[bool]:
    ok: list[bool] = []
    report("ready (beside the model's first turn)", (await timed(tracker.ready))[0], bare)
    ok.append(size("memory for the tree", resident() - memory, 60))
    quiet = [(await timed(lambda: tracker.scan(call_id="c")))[0] for _ in range(50)]
    ok.append(report("a call that changes nothing (median)", statistics.median(quiet), bare, 0.005))
    cases = [
        ("5,000 files created by one command", "mkdir new; seq 5000 | split -l 1 -a 5 - new/f", 5000, 2.0),
        ("... and removed", "rm -r new", 5000, 2.0),
        (
            "5,000 files in node_modules",
            "mkdir node_modules; seq 5000 | split -l 1 -a 5 - node_modules/f",
            0,
            0.05,
        ),
        (
            "a formatter over 500 files",
            "printf '%s\\n' d0000[0-9]/* | xargs sed -i 's/^line \\(.*\\)0$/  line = \\1/'",
            500,
            2.0,
        ),
    ]
    if git:
        cases += [
            (
                "git checkout of another branch, 500 files",
                "git stash -q; git checkout -q -b side; git stash pop -q; "
                "git -c user.name=b -c user.email=b@example.com commit -qam two; git checkout -q main",
                500,
                2.0,
            ),
            ("... and back", "git checkout -q side", 500, 2.0),
        ]  # fmt: skip
    for what, script, expected, bound in cases:
        bash(script, tree)
        seconds, found = await timed(lambda: tracker.scan(call_id="c"))
        assert len(found) == expected, (what, len(found))
        ok.append(report(f"{what}: {len(found):,} events", seconds, bare, bound))
    del found
    if not git:
        report("the next write is seen, without inotify", await seen_without_inotify(tracker, tree), bare)
    report("finish (a last look at everything)", (await timed(tracker.finish))[0], bare)
    ok.append(size("memory at the end", resident() - memory, 60))
    return [not good for good in ok]


async def seen_without_inotify(tracker: ChangeTracker, tree: Path) -> float:
    """Seconds until a background write is reported, beside a file that the run has changed before."""
    assert tracker.files
    tracker.files.tree.watcher = None
    bash("echo x >> d00000/module_0.py", tree)
    await tracker.scan(call_id="c")
    reported = anyio.Event()

    async def emit(event: FileEditEvent) -> None:
        reported.set()

    async with anyio.create_task_group() as group:
        group.start_soon(tracker.watch, emit)
        await anyio.sleep(2.5)  # the polling has begun
        began = time.perf_counter()
        bash("echo x >> d00000/module_1.py", tree)
        await reported.wait()
        seconds = time.perf_counter() - began
        group.cancel_scope.cancel()
    return seconds


async def timed(
    work: Callable[[], Awaitable[list[FileEditEvent] | None]],
) -> tuple[float, list[FileEditEvent]]:
    began = time.perf_counter()
    found = await work()
    return time.perf_counter() - began, found or []


def plant(tree: Path, count: int) -> None:
    for number in range(0, count, PER_FOLDER):
        folder = tree / f"d{number // PER_FOLDER:05d}"
        folder.mkdir(parents=True)
        for file in range(PER_FOLDER):
            text = "".join(f"line {number} {file} {line}\n" for line in range(40))
            (folder / f"module_{file}.py").write_text(text)


def walk(tree: Path) -> float:
    began = time.perf_counter()
    stack = [os.fsencode(tree)]
    while stack:
        with os.scandir(stack.pop()) as items:
            stack += [item.path for item in items if item.is_dir(follow_symlinks=False)]
    return time.perf_counter() - began


def bash(script: str, tree: Path) -> None:
    subprocess.run(["bash", "-c", script], cwd=tree, check=True, stderr=subprocess.DEVNULL)


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def report(what: str, seconds: float, bare: float, bound: float | None = None) -> bool:
    verdict = (
        "" if bound is None else f"   bound {bound * 1000:,.0f} ms{'' if seconds < bound else '   EXCEEDED'}"
    )
    print(f"  {what:48} {seconds * 1000:9,.1f} ms  {seconds / bare:8.2f} walks{verdict}")
    return bound is None or seconds < bound


def size(what: str, megabytes: float, bound: float) -> bool:
    verdict = "" if megabytes < bound else "   EXCEEDED"
    print(f"  {what:48} {megabytes:9,.1f} MB{'':16}   bound {bound:.0f} MB{verdict}")
    return megabytes < bound


if __name__ == "__main__":
    sys.exit(main())
