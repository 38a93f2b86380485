"""Changes of several files at once: all of them or none, and each file whole at every moment.

A file is written beside itself, synced and renamed over itself; mode, owner and extended attributes go with
it. Where that cannot be (a bind-mounted file, a folder that may not be written to, an owner that would be
lost) it is written in place. A file with several hard links is renamed over too: the other names keep the
former text. Writing through them would change files nobody asked about, such as a package store shared with
other projects, and could not be atomic.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from agent_runtime.errors import ToolError
from agent_runtime.files.attributes import OwnerLost, dress, overwrite, sync, sync_folder, write
from agent_runtime.files.safe_paths import Place
from agent_runtime.files.snapshot import Snapshot

TEMPORARY = ".agent-runtime-"  # how the names of temporary files begin


@dataclass(frozen=True)
class Write:
    """One file's change.

    `data` None deletes; `before` None creates; `like` gives a new file its mode and owner. `executable` sets
    or takes the execute bits; None leaves them. `owner` is for new files and folders.
    """

    place: Place
    before: Snapshot | None
    data: bytes | None
    like: Snapshot | None = None
    executable: bool | None = None
    owner: tuple[int, int] | None = None


def write_all(writes: Sequence[Write]) -> None:
    """Make all changes, or none.

    What can fail is done before the first rename; should one of those fail too, the others are rolled back.
    Raises OSError with the file's path, or ToolError when a file is no longer what its snapshot says.
    """
    staged: list[_Staged] = []
    done: list[_Staged] = []
    try:
        for change in writes:
            staged.append(_Staged(change))
            with _named(change):
                staged[-1].prepare()
        for item in staged:
            done.append(item)
            with _named(item.write):
                item.commit()
    except BaseException:
        for item in reversed(done):
            item.roll_back()
        for item in reversed(staged):
            item.discard()
        raise
    finally:
        for item in staged:
            item.close()


@contextmanager
def _named(change: Write) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(change.place.real)  # not that of the temporary file beside it
        raise


class _Staged:
    """A change on its way: prepared (nothing visible has happened), committed, or rolled back."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.place = write.place
        self.folder = os.dup(write.place.folder)
        self.made: list[tuple[int, str]] = []  # folders made on the way: the one they are in, their name
        self.temporary: str | None = None
        self.arrived = not write.place.missing  # is `folder` the one that the file is in?
        self.changed = False

    @property
    def _model(self) -> Snapshot | None:
        """Whose mode, owner and attributes the new file takes: not those of a link that it replaces."""
        before = self.write.before
        return self.write.like if before is None or stat.S_ISLNK(before.status.st_mode) else before

    def prepare(self) -> None:
        self._check()
        for name in self.place.missing:
            self._make_folder(name)
        self.arrived = True
        if self.write.data is None:
            return
        before = self._model if self.write.before else None
        if before and not os.access(self.place.name, os.W_OK, dir_fd=self.folder):
            raise ToolError(
                f"{self.place.real} is read-only (mode {stat.S_IMODE(before.status.st_mode):04o})"
            )
        try:
            self._stage(self.write.data)
        except (PermissionError, OwnerLost):
            if before is None:
                raise
            self._drop_temporary()  # it will be written in place

    def commit(self) -> None:
        self._check()
        name, data = self.place.name, self.write.data
        if data is None:
            os.unlink(name, dir_fd=self.folder)
        elif self.temporary is None:
            self.changed = True
            overwrite(self.folder, name, data)
        else:
            try:
                os.rename(self.temporary, name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
                self.temporary = None
            except OSError:
                if self.write.before is None:
                    raise
                self.changed = True  # a mount point, or a sticky folder of another's
                overwrite(self.folder, name, data)
                self._drop_temporary()
        self.changed = True
        sync_folder(self.folder)

    def roll_back(self) -> None:
        if not self.changed:
            return
        before = self.write.before
        if before is None:
            os.unlink(self.place.name, dir_fd=self.folder)
            return
        if stat.S_ISLNK(before.status.st_mode):
            os.symlink(before.data, self.place.name, dir_fd=self.folder)
            return
        try:
            self._stage(before.data, before)
            assert self.temporary
            os.rename(self.temporary, self.place.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            self.temporary = None
        except OSError:
            overwrite(self.folder, self.place.name, before.data)

    def discard(self) -> None:
        self._drop_temporary()
        for parent, name in reversed(self.made):
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError:
                break  # something else was put into it

    def close(self) -> None:
        for parent, _ in self.made:
            os.close(parent)
        os.close(self.folder)

    def _check(self) -> None:
        """The file must still be what it was when its new text was made from it."""
        now = None
        with suppress(FileNotFoundError):
            now = (
                os.stat(self.place.name, dir_fd=self.folder, follow_symlinks=False) if self.arrived else None
            )
        before = self.write.before and self.write.before.status
        if (now and _signature(now)) != (before and _signature(before)):
            raise ToolError(
                f"{self.place.real} was changed by another process just now. Nothing was written."
            )

    def _make_folder(self, name: str) -> None:
        parent = self.folder
        try:
            os.mkdir(name, dir_fd=parent)
            made = True
            if owner := self.write.owner:
                os.chown(name, *owner, dir_fd=parent)
        except FileExistsError:
            made = False  # another change of this set made it
        self.folder = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        if made:
            self.made.append((parent, name))
        else:
            os.close(parent)

    def _stage(self, data: bytes, like: Snapshot | None = None) -> None:
        self.temporary = TEMPORARY + secrets.token_hex(8)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.temporary, flags, 0o666, dir_fd=self.folder)
        try:
            dress(fd, like or self._model, self.write.owner, None if like else self.write.executable)
            write(fd, data)
            sync(fd)
        finally:
            os.close(fd)

    def _drop_temporary(self) -> None:
        if self.temporary:
            with suppress(FileNotFoundError):
                os.unlink(self.temporary, dir_fd=self.folder)
            self.temporary = None


def _signature(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
