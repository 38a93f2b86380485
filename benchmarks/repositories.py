"""What tools do to real repositories, and what reporting it costs: a formatter, a checkout, an `npm install`.

Run: python benchmarks/repositories.py        (needs git and ruff; npm and its registry for the last two)

Each case runs in a process of its own. The patches are applied to a copy of the tree by `git apply`, and must give
the tree. Exits 1 when they do not, or when a bound is exceeded.
"""

from __future__ import annotations

import filecmp
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import anyio
from tracking import GIT, bash, report, resident, size, timed, walk

from agent_runtime.changes import file_edit_events
from agent_runtime.changes.tracker import ChangeTracker
from agent_runtime.git.ignore_patterns import HEAVY
from agent_runtime.protocol.events import FileEditEvent

COMMIT = "git -c user.name=b -c user.email=b@example.com commit -qm"
PAST = "find . -name .git -prune -o -exec touch -hd '1 hour ago' {} +; git update-index -q --refresh"
NPM = "npm install --no-audit --no-fund --loglevel=error core-js@3 lodash@4"
RUFF = f"{sys.executable} -m ruff format -q --isolated --line-length 60 ."
BOUND = 2.0  # seconds, for 5,000 files


def formatter(tree: Path) -> tuple[str, bool]:
    """A real package, and the formatter that its authors use; it rewrites some 500 of these files."""
    package(tree / "sdk", "openai", 720)
    bash(f"{GIT}; {PAST}", tree)
    return RUFF, False


def checkout(tree: Path) -> tuple[str, bool]:
    """Two packages that one generator made: many files of the same name and much text in common."""
    package(tree / "sdk", "anthropic")
    bash(f"{GIT}; git checkout -qb other; git rm -qr sdk", tree)
    package(tree / "sdk", "openai")
    bash(f"git add -A; {COMMIT} two; git checkout -q main; {PAST}", tree)
    return "git checkout -q other", False


def npm(tree: Path) -> tuple[str, bool]:
    """About 5,000 files in node_modules, which is ignored: only the manifest and its lock are reported."""
    (tree / "package.json").write_text('{"name": "x", "private": true}\n')
    bash(GIT, tree)
    return NPM, False


def npm_tracked(tree: Path) -> tuple[str, bool]:
    """The same with --track-ignored: each of them is reported."""
    return npm(tree)[0], True


CASES: dict[str, Callable[[Path], tuple[str, bool]]] = {
    function.__name__: function for function in (formatter, checkout, npm, npm_tracked)
}


def main() -> int:
    if len(sys.argv) > 2:
        return case(sys.argv[1], Path(sys.argv[2]))
    worst = 0
    for name in CASES:
        if name.startswith("npm") and not shutil.which("npm"):
            print(f"{name}: npm is not installed")
            continue
        with tempfile.TemporaryDirectory(prefix="repositories-") as folder:
            worst |= subprocess.run([sys.executable, __file__, name, folder], check=False).returncode
    return worst


def case(name: str, folder: Path) -> int:
    tree, copy = folder / "tree", folder / "copy"
    tree.mkdir()
    script, everything = CASES[name](tree)
    shutil.copytree(tree, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    bare = min(walk(tree) for _ in range(3))
    assert file_edit_events  # imported before memory is measured
    memory = resident()
    tracker = ChangeTracker(tree, diff_dir=folder / "state" / "diffs", track_ignored=everything)
    tracker.begin()

    async def measured() -> tuple[float, list[FileEditEvent]]:
        await tracker.ready()
        await anyio.to_thread.run_sync(bash, script, tree)
        return await timed(lambda: tracker.scan(call_id="c"))

    seconds, found = anyio.run(measured)
    print(f"{name}: {len(found):,} events, +{sum(e.additions for e in found):,}"
          f" -{sum(e.deletions for e in found):,} lines")  # fmt: skip
    good = report("from the command's end to the last event", seconds, bare, BOUND)
    good &= size("memory, the events included", resident() - memory, 200)
    rest = anyio.run(tracker.finish)
    good &= not rest and bool(found)
    apply([*found, *rest], copy)
    heavy = set() if everything else set(map(os.fsdecode, HEAVY))
    good &= (same := not differing(tree, copy, heavy))
    print(f"  the patches give the tree: {'yes' if same else 'NO'}")
    return int(not good)


def package(target: Path, name: str, count: int | None = None) -> None:
    """The sources of an installed package, or so many of them."""
    spec = importlib.util.find_spec(name)
    assert spec and spec.origin
    source = Path(spec.origin).parent
    for path in sorted(source.rglob("*.py"))[:count]:
        to = target / path.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def apply(found: list[FileEditEvent], copy: Path) -> None:
    patches = (Path(e.diff_file).read_bytes() if e.diff_file else e.diff.encode() for e in found)
    subprocess.run(["git", "apply", "-"], input=b"".join(patches), cwd=copy, check=True)


def differing(tree: Path, copy: Path, left_out: set[str]) -> bool:
    """Is there a file that is not the same in both, by mode and content? Empty folders are no files."""

    def files(root: Path) -> dict[str, bool]:
        found: dict[str, bool] = {}
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in {".git", *left_out}]
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for path in (Path(folder, name) for name in (*names, *links)):
                found[str(path.relative_to(root))] = bool(path.lstat().st_mode & 0o100)
        return found

    ours, theirs = files(tree), files(copy)
    plain = [name for name in ours if not (tree / name).is_symlink()]
    links = [name for name in ours if (tree / name).is_symlink()]
    return (
        ours != theirs
        or any((tree / name).readlink() != (copy / name).readlink() for name in links)
        or any(not filecmp.cmp(tree / name, copy / name, shallow=False) for name in plain)
    )


if __name__ == "__main__":
    sys.exit(main())
