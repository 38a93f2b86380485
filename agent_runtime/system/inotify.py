"""Linux's inotify(7) without a thread in between: everything that the kernel has queued can be read at once.

The kernel queues an event before the write that caused it returns, so when a command has ended, the queue has
everything that it did. A library that delivers events later from a thread of its own cannot guarantee that.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import sys
import termios
import weakref
from dataclasses import field

from agent_runtime.lazy import dataclass
from agent_runtime.system.byte_paths import under

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF = 0x100, 0x200, 0x400
_UNMOUNT, _OVERFLOW, _IGNORED, _IS_FOLDER = 0x2000, 0x4000, 0x8000, 0x40000000
_ONLY_FOLDERS, _NO_FOLLOW, _EXCLUDE_UNLINKED = 0x01000000, 0x02000000, 0x04000000
_MASK = (
    _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
    | _ONLY_FOLDERS | _NO_FOLLOW | _EXCLUDE_UNLINKED
)  # fmt: skip
_EVENT = struct.Struct("iIII")


@dataclass
class Noticed:
    """What happened since the last look: (folder, name) pairs. `lost`: the queue overflowed, or a watch was lost."""

    files: set[tuple[bytes, bytes]] = field(default_factory=set)
    folders: set[tuple[bytes, bytes]] = field(default_factory=set)
    lost: bool = False


class Inotify:
    """Watches folders below a root, by their paths relative to it. Raises OSError when no instance is left."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise _error()
        self.close = weakref.finalize(self, os.close, self.fd)  # removes all watches, once
        self._folders: dict[int, bytes] = {}
        self._watches: dict[bytes, int] = {}

    def add(self, folder: bytes) -> None:
        """Watch a folder, or record the new path of one that is watched. Raises OSError when the limit is reached."""
        path = under(self._root, folder)
        watch: int = self._libc.inotify_add_watch(self.fd, path, ctypes.c_uint32(_MASK))
        if watch >= 0:
            self._watches[folder] = watch
            self._folders[watch] = folder
            return
        error = _error()
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP):
            raise error

    def drop(self, folder: bytes) -> None:
        """Stop watching a folder that does not exist any more, unless it was found under another path."""
        watch = self._watches.pop(folder, None)
        if watch is not None and self._folders.get(watch) == folder:
            del self._folders[watch]
            self._libc.inotify_rm_watch(self.fd, watch)

    @property
    def is_queued(self) -> bool:
        """Whether anything is queued. True when the descriptor is closed."""
        try:
            return bool(int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)), sys.byteorder))
        except OSError:
            return True

    def drain(self) -> Noticed:
        """Return everything queued until now. Raises OSError when the descriptor is closed."""
        noticed = Noticed()
        while True:
            try:
                data = os.read(self.fd, 1 << 18)
            except BlockingIOError:
                return noticed
            self._parse(data, noticed)

    def _parse(self, data: bytes, noticed: Noticed) -> None:
        at = 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if mask & (_OVERFLOW | _UNMOUNT):
                noticed.lost = True
            folder = self._folders.get(watch)
            if folder is None:
                continue
            if mask & _IGNORED:
                self._gone(watch, folder, noticed)
            elif length:
                name = data[at - length : at].rstrip(b"\0")
                if not mask & _IS_FOLDER:
                    noticed.files.add((folder, name))
                elif mask & ~(_ATTRIB | _IS_FOLDER):
                    noticed.folders.add((folder, name))

    def _gone(self, watch: int, folder: bytes, noticed: Noticed) -> None:
        del self._folders[watch]
        if self._watches.get(folder) == watch:
            del self._watches[folder]
        noticed.lost |= not folder  # the root itself: it may have been replaced


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
