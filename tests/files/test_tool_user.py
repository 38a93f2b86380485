"""With `--tool-user` every file tool and the search have that user's rights, and new files belong to that user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pillow

from agent_runtime.errors import ToolError
from agent_runtime.files.editor import FileEditor
from agent_runtime.files.worker import FileWorker
from agent_runtime.search import ripgrep
from agent_runtime.search.search import Searcher

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user"),
]

USER = "games"
READS = ["read", "entries", "image", "grep", "file_search"]
CHANGES = ["replace", "insert", "write", "delete", "patch", "move"]


class UserFixture:
    """A workspace of the tool user, with files of root in it, beside it and behind symlinks."""

    def __init__(self, top: Path) -> None:
        self.workspace, self.secret = top / "workspace", top / "secret"
        entry = pwd.getpwnam(USER)
        self.ids = (entry.pw_uid, entry.pw_gid)
        for folder in (self.workspace, self.secret):
            folder.mkdir()
        self.fill(self.secret)
        self.secret.chmod(0o700)
        os.chown(self.workspace, *self.ids)
        self.fill(self.workspace / "closed")
        (self.workspace / "closed").chmod(0o700)
        for name, target in (("link", self.secret / "f"), ("folder", self.secret)):
            (self.workspace / name).symlink_to(target)
        self.worker = FileWorker(USER)
        self.files = FileEditor(workspace=self.workspace, worker=self.worker)
        self.search = Searcher(self.files.paths, self.worker)

    @staticmethod
    def fill(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "f").write_text("secret\n")
        (folder / "f").chmod(0o600)
        Pillow.new("RGB", (2, 2)).save(folder / "i.png")
        (folder / "open").mkdir()
        (folder / "open" / "g").write_text("secret\n")

    async def call(self, how: str, path: str) -> str:
        files = self.files
        if how == "read":
            return (await files.read(path, tokens=100)).text
        if how == "entries":
            return await files.entries(path, depth=2, tokens=100)
        if how == "image":
            return (await files.image(path)).text
        if how == "grep":
            return await self.search.grep("secret", path, limit=9, tokens=100)
        if how == "file_search":
            return await self.search.files("*", path, limit=9, tokens=100)
        if how == "replace":
            return await files.replace(path, "secret", "x", call_id="c")
        if how == "insert":
            return await files.insert(path, 0, "x", call_id="c")
        if how == "write":
            return await files.write(path, "x\n", call_id="c")
        if how == "delete":
            return await files.delete(path, call_id="c")
        move = "*** Move to: moved\n" if how == "move" else ""
        patch = f"*** Begin Patch\n*** Update File: {path}\n{move}-secret\n+x\n*** End Patch"
        return await files.patch(patch, call_id="c")


@pytest.fixture
def user() -> Iterator[UserFixture]:
    """Not below pytest's own folder, which is closed to other users."""
    top = Path(tempfile.mkdtemp(prefix="tool-user-"))
    top.chmod(0o755)
    yield UserFixture(top)
    shutil.rmtree(top)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", [*READS, *CHANGES])
@pytest.mark.parametrize("engine", ["ripgrep", "python"])
async def test_files_that_the_tool_user_cannot_reach_are_refused(
    user: UserFixture, how: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "python":
        monkeypatch.setattr(ripgrep, "available", lambda: False)
    before = {name: contents(folder) for name, folder in vars(user).items() if isinstance(folder, Path)}
    name = {"image": "i.png", "entries": "open", "grep": "open", "file_search": "open"}.get(how, "f")
    paths = [f"{folder}/{name}" for folder in (user.secret, "closed", "folder", "../secret")]
    if name == "f" and how not in ("delete", "move"):  # these two act on the symlink, the user's own
        paths.append("link")
    if name == "open":
        paths += [str(user.secret), "closed", "folder"]
    for path in paths:
        with pytest.raises(ToolError, match="permission denied"):
            await user.call(how, path)
    after = {name: contents(folder) for name, folder in vars(user).items() if isinstance(folder, Path)}
    assert after == before


async def test_a_search_of_the_workspace_passes_over_it(user: UserFixture) -> None:
    (user.workspace / "own").write_text("a secret of my own\n")
    assert await user.call("grep", ".") == "own:1:a secret of my own"
    assert "closed" not in await user.call("file_search", ".")
    assert "closed/\n  [permission denied]" in await user.call("entries", ".")


@pytest.mark.parametrize("how", ["replace", "insert", "write", "patch", "move"])
async def test_a_read_only_file_of_another_user_in_the_users_own_folder(user: UserFixture, how: str) -> None:
    """The folder would allow a rename over it, but the file does not allow the change."""
    path = user.workspace / "f"
    path.write_text("secret\n")
    path.chmod(0o644)
    with pytest.raises(ToolError, match=r"read-only|permission denied|not permitted"):
        await user.call(how, "f")
    assert path.read_text() == "secret\n"
    assert path.stat().st_uid == 0


async def test_new_files_and_folders_belong_to_the_user(user: UserFixture) -> None:
    await user.call("write", "new/deep/f")
    await user.files.patch("*** Begin Patch\n*** Add File: added/f\n+x\n*** End Patch", call_id="c")
    (user.workspace / "own").write_text("secret\n")
    os.chown(user.workspace / "own", *user.ids)
    await user.call("move", "own")
    for name in ("new", "new/deep", "new/deep/f", "added", "added/f", "moved"):
        status = (user.workspace / name).stat()
        assert (status.st_uid, status.st_gid) == user.ids, name
    umask = os.umask(0)
    os.umask(umask)
    assert (user.workspace / "added/f").stat().st_mode & 0o777 == 0o666 & ~umask


async def test_supplementary_groups_apply_and_other_threads_keep_their_credentials(user: UserFixture) -> None:
    shared = user.workspace / "shared"
    shared.write_text("for the group\n")
    os.chown(shared, 0, 4242)
    shared.chmod(0o640)
    groups = os.getgroups()
    with pytest.raises(ToolError, match="permission denied"):
        await user.call("read", "shared")
    assert user.worker.credentials
    user.worker.credentials = replace(user.worker.credentials, groups=(4242,))
    assert "for the group" in await user.call("read", "shared")
    assert os.getgroups() == groups
    assert user.secret.joinpath("f").read_text() == "secret\n"
    status = await user.worker.run(lambda: Path("/proc/thread-self/status").read_text())
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["0", "0", "0", str(user.ids[0])]
    assert fields["CapEff"] == "0" * 16
    assert "CapEff:\t0000000000000000" not in Path("/proc/self/status").read_text()


def test_nothing_is_imported_with_the_rights_of_the_user(user: UserFixture) -> None:
    """The user may not be able to read the installation, and a failed import can make later ones fail."""
    program = [sys.executable, "-m", "tests.files.imports_as_user", str(user.workspace)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("engine", ["ripgrep", "python"])
async def test_ignore_files_are_respected_for_the_tool_user(
    user: UserFixture, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "python":
        monkeypatch.setattr(ripgrep, "available", lambda: False)
    (user.workspace / ".gitignore").write_text("ignored\nclosed\n")
    (user.workspace / "ignored").mkdir()
    for name in ("ignored/f", "own"):
        (user.workspace / name).write_text("secret\n")
    assert await user.call("grep", ".") == "own:1:secret"
    assert "ignored/ (not listed)" in await user.call("entries", ".")
