"""Without inotify, and where files cannot be read: tracking is slower or reports less, but is not wrong and does not
fail.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_runtime.changes import content_store, contents, records
from agent_runtime.changes.tree_walk import TreeWalk
from agent_runtime.system.inotify import Inotify
from tests.changes.workspace import TrackedWorkspace, brief
from tests.support.permissions import let_others_enter


def test_an_inotify_queue_overflow_loses_no_change(tracked: TrackedWorkspace) -> None:
    tracked.sh("mkdir d; for i in $(seq 20); do seq $i > d/f$i; done")
    tracked.begin()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for turn in range(limit // 3 + 100):  # each call makes three events
        name = tracked.ws / f"d/t{turn % 2}"
        name.touch()
        name.unlink()
    tracked.sh("echo x > d/f3; rm d/f4; mkdir e; echo x > e/f")
    assert brief(tracked.scan(), tracked.ws) == [("delete", "d/f4"), ("modify", "d/f3"), ("create", "e/f")]
    assert brief(tracked.run("echo y > e/f"), tracked.ws) == [("modify", "e/f")]
    tracked.check()


def test_changes_are_found_when_inotify_watches_run_out(
    tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.sh("mkdir -p a/b c; seq 3 > a/b/f")

    def add(self: Inotify, folder: bytes) -> None:
        if folder.startswith(b"new"):
            raise OSError(28, "No space left on device")
        kept(self, folder)

    kept = Inotify.add
    monkeypatch.setattr(Inotify, "add", add)
    tracked.begin()
    tracked.run("echo x >> a/b/f; mkdir new; echo x > new/f")
    assert tracked.tracker.files
    assert tracked.tracker.files.watcher is None
    tracked.run("echo y >> a/b/f; echo y >> new/f; rm -r c")
    assert len(tracked.events) == 4
    tracked.check()


def test_moved_folders_are_still_watched(tracked: TrackedWorkspace) -> None:
    tracked.sh("mkdir -p a/b/c x; seq 9 > a/b/c/f; seq 8 > a/b/g")
    tracked.begin()
    tracked.run("mv a/b x/y")
    assert brief(tracked.run("echo 1 >> x/y/c/f"), tracked.ws) == [("modify", "x/y/c/f")]
    tracked.run("mv x ../away; mkdir x; echo 2 > x/f; echo 3 >> ../away/y/g")
    assert brief(tracked.run("echo 4 >> ../away/y/g; echo 5 >> x/f"), tracked.ws) == [("modify", "x/f")]
    tracked.run("mv ../away/y back")
    assert brief(tracked.run("echo 6 >> back/c/f"), tracked.ws) == [("modify", "back/c/f")]
    tracked.check()


def test_changes_without_inotify_events_are_found_at_the_end(tracked: TrackedWorkspace) -> None:
    tracked.sh("seq 1000 > mapped; seq 9 > linked; ln linked ../other-name")
    tracked.begin()
    file = (tracked.ws / "mapped").open("r+b")
    with file, mmap.mmap(file.fileno(), 0) as view:
        tracked.scan()
        view[0:1] = b"X"
        view.flush()
        tracked.scan()
    (tracked.folder / "other-name").write_text("another way in\n")
    tracked.finish()
    assert sorted(brief(tracked.events, tracked.ws)) == [("modify", "linked"), ("modify", "mapped")]
    tracked.check()


def test_unreadable_files_are_reported_without_a_diff(tracked: TrackedWorkspace) -> None:
    if os.getuid():
        pytest.skip("only root can become someone else")
    tracked.sh(
        "seq 9 > secret; seq 9 > f; mkdir closed; seq 9 > closed/f; chmod 0 secret closed; chmod 777 . .."
    )
    code = f"""
import anyio, os, subprocess
from pathlib import Path
from agent_runtime.changes.tracker import ChangeTracker
async def main(ws, script):
    tracker = ChangeTracker(ws, diff_dir=ws.parent / "s" / "d"); tracker.begin(); await tracker.ready()
    subprocess.run(["bash", "-c", script], cwd=ws, check=True)
    events = await tracker.scan(call_id=None) + await tracker.finish()
    return [(event.action, event.path.split("/")[-1], event.diff[:4]) for event in events]
Path("warm").mkdir()
anyio.run(main, Path("warm").absolute(), "echo x > imports-everything")
os.setgroups([]); os.setgid(12345); os.setuid(12345)
print(anyio.run(main, Path({str(tracked.ws)!r}), "echo x > g; rm -f secret; mv closed c2"))
"""
    let_others_enter(tracked.folder)
    tracked.folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tracked.folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert (done.stdout, done.stderr) == ("[('delete', 'secret', ''), ('create', 'g', 'diff')]\n", "")


@pytest.mark.parametrize("what", ["store", "long"])
def test_contents_beyond_the_store_limit_are_reported_without_a_diff(
    tracked: TrackedWorkspace, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "store":
        monkeypatch.setattr(content_store.ContentStore.__init__, "__kwdefaults__", {"limit": 1000})
    else:
        monkeypatch.setattr(contents, "KEEP_LIMIT", 1000)
    tracked.sh("seq 9 > small; seq 2000 > large; seq 3000 > large2; seq 4000 > large3")
    tracked.begin()
    events = tracked.run(
        "echo x >> small; seq 3 > large; rm large2; mv large3 large4; touch large4; seq 300000 > larger"
    )
    assert [event.path.rpartition("/")[2] for event in events] == [
        "large2",
        "large4",
        "large",
        "small",
        "larger",
    ]
    assert len(tracked.finish()) == 0 and len(tracked.tracker.net().files) == 4


def test_a_replaced_workspace_is_tracked(tracked: TrackedWorkspace, blind: Callable[[], None]) -> None:
    tracked.sh("seq 3 > f; mkdir d; seq 4 > d/g")
    tracked.begin()
    tracked.run("rm -rf ../ws; mkdir ../ws; cd ../ws; echo x > f; echo y > h")
    assert brief(tracked.finish(), tracked.ws) == []
    assert brief(tracked.events, tracked.ws) == [("delete", "d/g"), ("modify", "f"), ("create", "h")]
    assert brief(tracked.run("echo z > h"), tracked.ws) == [("modify", "h")]
    tracked.check()


def test_a_workspace_that_cannot_be_tracked_is_reported(
    tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: TreeWalk, *args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(TreeWalk, "first_look", fail)
    tracked.begin()
    assert tracked.run("echo x > f") == []
    (notice,) = tracked.tracker.notices()
    assert (notice.code, notice.details) == ("tracking_degraded", {"limit": "off"})
    assert tracked.tracker.notices() == []


def test_a_file_that_cannot_be_handled_is_left_out_alone(
    tracked: TrackedWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: bytes, **options: object) -> contents.Content | None:
        if path.endswith(b"bad"):
            raise ValueError("an unforeseen case")
        return kept(path)

    kept = contents.read_content
    monkeypatch.setattr(records, "read_content", read)
    tracked.begin()
    assert brief(tracked.run("echo x > a; echo x > bad; echo x > c"), tracked.ws) == [
        ("create", "a"),
        ("create", "c"),
    ]
    (notice,) = tracked.tracker.notices()
    assert notice.details == {"limit": "failed", "path": "bad"}


@pytest.mark.parametrize(
    ("before", "script", "reported"),
    [
        ("echo a > a; touch -d 2300-01-01 old", "echo b >> a", [("modify", "a")]),
        ("echo a > a; touch -d 2446-05-10 a", "echo b >> a; touch -d 2262-04-12 a", [("modify", "a")]),
        ("echo a > a; touch -d 1901-12-13 a", "echo b >> a; touch -d 1910-01-01 new",
         [("modify", "a"), ("create", "new")]),
        ("echo a > a; touch -d 1969-12-31 a", "echo b >> a; touch -d @34359738368 new; echo c >> new; touch -d @-1 new",
         [("modify", "a"), ("create", "new")]),
        ("echo a > a; touch -h -d 2400-01-01 a; ln -s x l; touch -hd 2400-01-01 l", "ln -sfn y l", [("modify", "l")]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("detection")
def test_timestamps_outside_the_usual_range_are_handled(
    tracked: TrackedWorkspace,
    before: str,
    script: str,
    reported: list[tuple[str, ...]],
) -> None:
    tracked.sh(before)
    tracked.begin()
    assert brief(tracked.run(script), tracked.ws) == reported
    assert brief(tracked.run("echo z >> a"), tracked.ws) == [("modify", "a")]
    tracked.check()


def test_deeply_nested_folders_are_tracked(tracked: TrackedWorkspace) -> None:
    # by Python, because `cd` of bash looks at every folder of the path
    down = "import os; os.chdir('start'); [{make}os.chdir('d') for _ in range(1000)]; os.system('{then}')"
    tracked.sh('mkdir start; python3 -c "' + down.format(make="os.mkdir('d') or ", then="seq 3 > f") + '"')
    tracked.track()  # without a copy: os.walk recurses
    then = "seq 4 > f; seq 3 > a.o; mkdir new; seq 3 > new/g"
    tracked.run("echo '*.o' > .gitignore; python3 -c \"" + down.format(make="", then=then) + '"')
    assert [event.path.rpartition("/")[2] for event in tracked.events] == ["f", ".gitignore", "g"]
    assert tracked.tracker.notices() == []
    tracked.sh("rm -rf start")  # removing it would recurse as well
