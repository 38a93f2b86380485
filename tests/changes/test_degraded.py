"""Where the kernel does not tell, or a file may not be read: slower, or less, never wrong and never fatal."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_runtime.changes import content_store, contents
from agent_runtime.system.inotify import Inotify
from tests.changes.lab import Lab, brief


def test_an_overflowed_queue(lab: Lab) -> None:
    lab.sh("mkdir d; for i in $(seq 20); do seq $i > d/f$i; done")
    lab.begin()
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for turn in range(limit // 3 + 100):  # three events each
        name = lab.ws / f"d/t{turn % 2}"
        name.touch()
        name.unlink()
    lab.sh("echo x > d/f3; rm d/f4; mkdir e; echo x > e/f")
    assert brief(lab.scan(), lab.ws) == [("delete", "d/f4"), ("modify", "d/f3"), ("create", "e/f")]
    assert brief(lab.run("echo y > e/f"), lab.ws) == [("modify", "e/f")]
    lab.check()


def test_no_more_watches(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.sh("mkdir -p a/b c; seq 3 > a/b/f")

    def add(self: Inotify, folder: bytes) -> None:
        if folder.startswith(b"new"):
            raise OSError(28, "No space left on device")
        kept(self, folder)

    kept = Inotify.add
    monkeypatch.setattr(Inotify, "add", add)
    lab.begin()
    lab.run("echo x >> a/b/f; mkdir new; echo x > new/f")
    assert lab.tracker._baseline.watcher is None
    lab.run("echo y >> a/b/f; echo y >> new/f; rm -r c")
    assert len(lab.events) == 4
    lab.check()


def test_moved_folders_are_still_watched(lab: Lab) -> None:
    lab.sh("mkdir -p a/b/c x; seq 9 > a/b/c/f; seq 8 > a/b/g")
    lab.begin()
    lab.run("mv a/b x/y")
    assert brief(lab.run("echo 1 >> x/y/c/f"), lab.ws) == [("modify", "x/y/c/f")]
    lab.run("mv x ../away; mkdir x; echo 2 > x/f; echo 3 >> ../away/y/g")
    assert brief(lab.run("echo 4 >> ../away/y/g; echo 5 >> x/f"), lab.ws) == [("modify", "x/f")]
    lab.run("mv ../away/y back")
    assert brief(lab.run("echo 6 >> back/c/f"), lab.ws) == [("modify", "back/c/f")]
    lab.check()


def test_what_no_kernel_reports_is_found_at_the_end(lab: Lab) -> None:
    lab.sh("seq 1000 > mapped; seq 9 > linked; ln linked ../other-name")
    lab.begin()
    file = (lab.ws / "mapped").open("r+b")
    with file, mmap.mmap(file.fileno(), 0) as view:
        lab.scan()
        view[0:1] = b"X"
        view.flush()
        lab.scan()
    (lab.folder / "other-name").write_text("another way in\n")
    lab.finish()
    assert sorted(brief(lab.events, lab.ws)) == [("modify", "linked"), ("modify", "mapped")]
    lab.check()


def test_files_that_may_not_be_read(lab: Lab) -> None:
    if os.getuid():
        pytest.skip("only root can become someone else")
    lab.sh("seq 9 > secret; seq 9 > f; mkdir closed; seq 9 > closed/f; chmod 0 secret closed; chmod 777 . ..")
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
print(anyio.run(main, Path({str(lab.ws)!r}), "echo x > g; rm -f secret; mv closed c2"))
"""
    for folder in lab.folder.parents:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    lab.folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=lab.folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert (done.stdout, done.stderr) == ("[('delete', 'secret', ''), ('create', 'g', 'diff')]\n", "")


@pytest.mark.parametrize("what", ["store", "long"])
def test_contents_that_nobody_keeps(lab: Lab, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "store":
        monkeypatch.setattr(content_store.ContentStore.__init__, "__kwdefaults__", {"limit": 1000})
    else:
        monkeypatch.setattr(contents, "KEEP_LIMIT", 1000)
    lab.sh("seq 9 > small; seq 2000 > large; seq 3000 > large2; seq 4000 > large3")
    lab.begin()
    events = lab.run(
        "echo x >> small; seq 3 > large; rm large2; mv large3 large4; touch large4; seq 300000 > larger"
    )
    assert [event.path.rpartition("/")[2] for event in events] == [
        "large2",
        "large4",
        "large",
        "small",
        "larger",
    ]
    assert len(lab.finish()) == 0 and len(lab.tracker.net().files) == 4


def test_a_workspace_that_is_not_there(lab: Lab, blind: Callable[[], None]) -> None:
    lab.sh("seq 3 > f; mkdir d; seq 4 > d/g")
    lab.begin()
    lab.run("rm -rf ../ws; mkdir ../ws; cd ../ws; echo x > f; echo y > h")
    assert brief(lab.finish(), lab.ws) == []
    assert brief(lab.events, lab.ws) == [("delete", "d/g"), ("modify", "f"), ("create", "h")]
    assert brief(lab.run("echo z > h"), lab.ws) == [("modify", "h")]
    lab.check()
