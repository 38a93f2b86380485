"""Mode, owner, attributes and links of a file are kept, and a write is complete or not made at all."""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from agent_runtime.errors import ToolError
from agent_runtime.files.atomic_write import Write, write_all
from agent_runtime.files.safe_paths import walk
from agent_runtime.files.snapshot import snapshot
from tests.files.editor_fixture import EditorFixture
from tests.support.permissions import let_others_enter

pytestmark = pytest.mark.anyio


async def test_mode_owner_attributes_and_symlink(editor: EditorFixture) -> None:
    editor.put(real="a\n")
    real, link = editor.folder / "real", editor.folder / "link"
    real.chmod(0o4751)
    link.symlink_to("real")
    attributes = {}
    try:
        os.setxattr(real, "user.note", b"kept")
        attributes = {"user.note": b"kept"}
    except OSError:
        pass  # a file system without extended attributes
    if os.geteuid() == 0:
        os.chown(real, 1234, 4321)
        real.chmod(0o4751)
    before = real.stat()
    await editor.replace("link", "a", "b")
    after = real.stat()
    assert real.read_bytes() == b"b\n"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino  # replaced, not written in place
    assert {name: os.getxattr(real, name) for name in os.listxattr(real)} == attributes
    assert link.readlink() == Path("real")
    assert editor.changes == [(["real"], "c")]


async def test_the_umask_decides_for_new_files(editor: EditorFixture) -> None:
    (editor.folder / "touched").touch()
    await editor.files.write("new", "x", call_id="c")
    assert (editor.folder / "new").stat().st_mode == (editor.folder / "touched").stat().st_mode


async def test_other_hard_links_keep_the_old_content(editor: EditorFixture) -> None:
    editor.put(a="a\n")
    os.link(editor.folder / "a", editor.folder / "b")
    assert "the file had 2 hard links; the other names keep the former text" in await editor.replace(
        "a", "a", "x"
    )
    assert editor.tree() == {"a": b"x\n", "b": b"a\n"}


async def test_a_reader_never_sees_a_partial_file(editor: EditorFixture) -> None:
    text = ["a" * 200_000, "b" * 200_000]
    editor.put(f=text[0])
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add((editor.folder / "f").read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    for i in range(1, 21):
        await editor.files.write("f", text[i % 2], call_id="c")
    done.set()
    thread.join()
    assert seen <= {text[0].encode(), text[1].encode()}


def test_a_failure_undoes_the_changes_before_it(editor: EditorFixture) -> None:
    """The second write to a file finds it changed by the first."""
    editor.put(a="a\n", b="b\n", gone="g\n")
    (editor.folder / "a").chmod(0o640)
    (editor.folder / "link").symlink_to("a")
    places = {name: walk(name, editor.folder, follow=False) for name in ("a", "b", "gone", "new/deep/c")}
    before = {name: snapshot(places[name], name) for name in ("a", "b", "gone")}
    was = editor.tree()
    with pytest.raises(ToolError, match="changed by another process"):
        write_all(
            [
                Write(places["new/deep/c"], None, b"c"),
                Write(places["a"], before["a"], b"A"),
                Write(places["gone"], before["gone"], None),
                Write(places["b"], before["b"], b"B"),
                Write(places["b"], before["b"], b"BB"),
            ]
        )
    assert editor.tree() == was
    assert not (editor.folder / "new").exists()
    assert (editor.folder / "a").stat().st_mode & 0o777 == 0o640
    for place in places.values():
        os.close(place.folder)


async def test_a_patch_that_cannot_be_written_names_the_file(editor: EditorFixture) -> None:
    editor.put(a="a\n", b="b\n")
    patch = "*** Begin Patch\n*** Update File: a\n-a\n+A\n*** Update File: b\n b\n+{}\n*** End Patch"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))  # stands for a full disk
    try:
        said = await editor.patch_refused(patch.format("x" * 2_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said == "b: file too large. Nothing was changed."


def test_a_full_disk_keeps_the_file_and_leaves_no_temporary_file(editor: EditorFixture) -> None:
    """A limit on the size of files stands for a full disk."""
    editor.put(f="a\n")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
        try:
            with walk("f", editor.folder) as place:
                write_all([Write(place, snapshot(place, "f"), b"x" * 5_000)])
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EFBIG
    assert editor.tree() == {"f": b"a\n"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_whose_owner_would_change_is_written_in_place(editor: EditorFixture) -> None:
    editor.put(f="a\n")
    editor.folder.chmod(0o777)
    let_others_enter(editor.folder)
    (editor.folder / "f").chmod(0o666)
    before = (editor.folder / "f").stat()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            with walk("f", editor.folder) as place:
                write_all([Write(place, snapshot(place, "f"), b"longer\n")])
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    after = (editor.folder / "f").stat()
    assert editor.tree() == {"f": b"longer\n"}
    assert (after.st_ino, after.st_uid) == (before.st_ino, before.st_uid)
