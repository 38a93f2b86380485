"""Changes of several files at once: all of them or none, and each file complete at every moment.

A new version is written beside the file, flushed and renamed over it, with the file's mode, owner and extended
attributes. Where that is not possible (a bind-mounted file, a directory without write permission, an owner that would
change) the file is written in place. A file with several hard links is replaced too: its other names keep the former
text. Writing through them would change files that nobody asked about, such as those of a package store that several
projects share, and could not be atomic.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from agent_runtime.errors import ToolError
from agent_runtime.files.attributes import (
    OwnerLost,
    copy_attributes,
    overwrite,
    sync,
    sync_folder,
    write,
)
from agent_runtime.files.place import Place
from agent_runtime.files.snapshot import Snapshot
from agent_runtime.lazy import dataclass

TEMPORARY = ".agent-runtime-"  # prefix of the names of temporary files
_TO_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True)
class Write:
    """One file's change.

    `data` None deletes; `before` None creates; `like` gives a new file its mode and owner. `executable` sets
    or clears the execute bits; None leaves them.
    """

    place: Place
    before: Snapshot | None
    data: bytes | None
    like: Snapshot | None = None
    executable: bool | None = None


def write_all(writes: Sequence[Write], cancelled: threading.Event | None = None) -> None:
    """Make all changes, or none.

    What can fail is done before the first rename. If a rename fails, those before it are undone.

    Args:
        writes: the changes.
        cancelled: when it is set before the first rename, nothing is changed.

    Raises:
        OSError: with the path of the file that cannot be changed.
        ToolError: a file is no longer what its snapshot says, is read-only, or the call was cancelled.
    """
    staged: list[_Staged] = []
    committed: list[_Staged] = []

    def check() -> None:
        if cancelled and cancelled.is_set():
            raise ToolError("The call was cancelled. Nothing was written.")

    try:
        for change in writes:
            staged.append(_Staged(change, check))
            with _named(change):
                staged[-1].prepare()
        check()
        for item in staged:
            committed.append(item)
            with _named(item.write):
                item.commit()
    except BaseException:
        for item in reversed(committed):
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
        error.filename = os.fspath(change.place.real)  # instead of the temporary file beside it
        raise


class _Staged:
    """A change in progress: prepared (nothing visible has happened), committed, or rolled back."""

    def __init__(self, write: Write, check: Callable[[], None]) -> None:
        self.write = write
        self._check_cancelled = check
        self.place = write.place
        self.folder = os.dup(write.place.folder)
        self.made: list[tuple[int, str]] = []  # directories that were created: their parent, their name
        self.temporary: str | None = None
        self.arrived = not write.place.missing  # whether `folder` is the directory of the file
        self.changed = False

    @property
    def _model(self) -> Snapshot | None:
        """The file whose mode, owner and attributes the new one takes. A symlink that is replaced has none."""
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
        if before:
            self._refuse_read_only(before)
        try:
            self._stage(self.write.data)
        except (PermissionError, OwnerLost):
            if before is None:
                raise
            self._drop_temporary()  # the file is written in place

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
                self.changed = True  # a mount point, or a sticky directory of another user
                overwrite(self.folder, name, data)
                self._drop_temporary()
        self.changed = True
        sync_folder(self.folder)

    def roll_back(self) -> None:
        if not self.changed:
            return
        self._check_cancelled = lambda: None
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
                break  # it is no longer empty

    def close(self) -> None:
        for parent, _ in self.made:
            os.close(parent)
        os.close(self.folder)

    def _check(self) -> None:
        """Raise ToolError unless the file is still the one that the new text was made from."""
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

    def _refuse_read_only(self, before: Snapshot) -> None:
        """Renaming over a file needs no permission on the file itself, but changing it should.

        Opened to find out: access(2) answers for the real user, who is not always the one that the thread acts as.
        """
        try:
            os.close(os.open(self.place.name, _TO_WRITE, dir_fd=self.folder))
        except PermissionError:
            mode = stat.S_IMODE(before.status.st_mode)
            raise ToolError(f"{self.place.real} is read-only (mode {mode:04o})") from None
        except OSError as error:
            if error.errno != errno.ETXTBSY:  # a program that is running can be replaced
                raise

    def _make_folder(self, name: str) -> None:
        parent = self.folder
        try:
            os.mkdir(name, dir_fd=parent)
            made = True
        except FileExistsError:
            made = False  # another change of this set has created it
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
            copy_attributes(fd, like or self._model, None if like else self.write.executable)
            write(fd, data, self._check_cancelled)
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
