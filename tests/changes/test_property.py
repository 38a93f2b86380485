"""Whatever a shell does to a tree, the patches rebuild it.

50 seeds, each with and without git, each seen by inotify and by walks at once. More:
CHANGES_SEEDS=200 .venv/bin/python -m pytest tests/changes/test_property.py
"""

from __future__ import annotations

import os
import random
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.changes.workspace import TrackedWorkspace, snapshot

UNSEEN = (b".git", b".cache", b"node_modules")
SEEDS = int(os.environ.get("CHANGES_SEEDS", "50"))
NAMES = [
    *[
        "a",
        "b",
        "main.py",
        'quote"d',
        "it's",
        "b\\slash",
        "ünï",
        "-dash",
        "x.txt",
        "#hash",
        "[br]",
        "*star*",
        "dir",
        "sub",
        "deep",
    ],
    *("with space", "trailing ", "tab\tname", "new\nline", os.fsdecode(b"latin-\xe9")),
]
LINES = [
    "alpha",
    "beta",
    "",
    "  indented",
    "gamma delta",
    "ünïcode",
    "tab\there",
    "-minus",
    "+plus",
    "@@ -1 +1 @@",
    "\\ No",
]


def content(rng: random.Random) -> str:
    """A shell word for printf %b."""
    kind = rng.randrange(10)
    lines = [
        rng.choice(LINES) + (f" {rng.randrange(50)}" if rng.random() < 0.5 else "")
        for _ in range(rng.randrange(40))
    ]
    if kind == 0:
        return ""
    if kind == 1:
        return "\\0".join(lines) + "\\0bin"
    if kind == 2:
        return "\\r\\n".join(line.replace("\\", "\\\\") for line in lines) + "\\r\\n"
    if kind == 3:
        return "latin \\0351\\n" + "\\n".join(line.replace("\\", "\\\\") for line in lines)
    text = "\\n".join(line.replace("\\", "\\\\") for line in lines)
    return text + ("\\n" if rng.random() < 0.7 else "")


def mutations(rng: random.Random, root: Path, git: bool) -> str:
    q = shlex.quote
    files = [os.fsdecode(path) for path in snapshot(root)]
    folders = sorted({str(Path(name).parent) for name in files})
    some = rng.choice(files) if files else "nothing"
    other = rng.choice(files) if files else "nothing"
    new = "/".join([rng.choice(folders or ["."]), *rng.sample(NAMES, rng.randrange(1, 3))])
    make = f"mkdir -p -- {q(str(Path(new).parent))}"
    write = f"printf %b {q(content(rng))} >"
    choices: list[str] = [
        f"{make} && {write} {q('./' + new)}",
        f"{make} && {write} {q('./' + new)}",
        f"{write} {q('./' + some)}",
        f"printf %b {q(content(rng))} >> {q('./' + some)}",
        f"sed -i 's/a/A/' {q('./' + some)}",
        f"sed -i '2d;5i inserted' {q('./' + some)}",
        f"rm -f {q('./' + some)}",
        f"{make} && mv -T {q('./' + some)} {q('./' + new)}",
        f"mv {q('./' + some)} tmp.x && mv {q('./' + other)} {q('./' + some)} && mv tmp.x {q('./' + other)}",
        f"{make} && cp -p {q('./' + some)} {q('./' + new)}",
        f"chmod {rng.choice(['+x', '-x', '600', '755'])} {q('./' + some)}",
        f"ln -sfn {q(rng.choice(NAMES))} {q('./' + some)}",
        f"{make} && ln -sfn nowhere {q('./' + new)}",
        f"rm -f {q('./' + some)} && mkdir {q('./' + some)} && {write} {q('./' + some + '/inner')}",
        f"rm -rf {q('./' + rng.choice(folders or ['nothing']))}/*",
        f'd={q("./" + rng.choice(folders or ["x"]))}; [ $d = ./. ] || (rm -rf "$d" && {write} "$d")',
        f'd={q("./" + rng.choice(folders or ["x"]))}; [ $d = ./. ] || mv "$d" ./moved-{rng.randrange(5)}',
        f"touch {q('./' + some)}",
        f"cp -p {q('./' + some)} k && cat k > {q('./' + some)}; rm -f k",
        "mkfifo pipe-$RANDOM",
        "mkdir -p .cache/x node_modules/y && echo x > .cache/x/y && echo y > node_modules/y/z",
    ]
    if git:
        choices += [
            "git add -A . && git commit -qm x",
            "git stash -q",
            "git stash pop -q",
            "git reset -q --hard",
            "git gc -q --prune=now",
        ]
        choices += ["git checkout -q side", "git checkout -q main", "git clean -fdq", "git checkout -q -- ."]
    return "\n".join(f"({rng.choice(choices)}) 2>/dev/null || true" for _ in range(rng.randrange(1, 7)))


def seeded(rng: random.Random, tracked: TrackedWorkspace, git: bool) -> None:
    tracked.sh(
        "mkdir -p src/deep docs; for i in $(seq 12); do seq $i 40 > src/f$i.txt; done; "
        "seq 5 > docs/x; seq 90 > src/deep/y"
    )
    for _ in range(6):
        tracked.sh(mutations(rng, tracked.ws, False))
    if git:
        tracked.sh(
            "git init -q -b main && printf '.cache\\nnode_modules\\n' > .git/info/exclude && "
            "git add -A . 2>/dev/null && git commit -qm one --allow-empty && git checkout -q -b side"
        )
        for _ in range(3):
            tracked.sh(mutations(rng, tracked.ws, False))
        tracked.sh("git add -A . && git commit -qm two --allow-empty; git checkout -q main")
        for _ in range(rng.randrange(3)):
            tracked.sh(mutations(rng, tracked.ws, False))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("git", [False, True], ids=["bare", "git"])
def test_patches_rebuild_the_tree(seed: int, git: bool, blind: Callable[[], None], tmp_path: Path) -> None:
    rng = random.Random(f"{seed} {git}")
    tracked = TrackedWorkspace(tmp_path, keep_git=rng.random() < 0.5)
    seeded(rng, tracked, git)
    walking = TrackedWorkspace(tmp_path / "walking", tracked.ws, keep_git=tracked.keep_git)
    tracked.begin()
    blind()
    walking.begin()
    assert tracked.tracker.files and tracked.tracker.files.watcher
    assert walking.tracker.files and not walking.tracker.files.watcher
    for _ in range(rng.randrange(1, 8)):
        before = snapshot(tracked.ws, UNSEEN)
        tracked.sh(mutations(rng, tracked.ws, git))
        after = snapshot(tracked.ws, UNSEEN)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        expected = set(
            tracked.texts(changed - {p for p in changed if p.startswith((b".cache", b"node_modules"))})
        )
        for events in (tracked.scan(), walking.scan()):
            assert {name for event in events for name in (event.path, event.old_path) if name} == expected
    tracked.check(UNSEEN)
    walking.check(UNSEEN)
