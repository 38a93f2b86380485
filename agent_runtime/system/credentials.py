"""Acting on files with the rights of another user, in one thread.

Linux keeps credentials per thread. The thread's file system user and groups are set, and its effective capabilities
are dropped, by calls that do not touch the other threads. Its real and effective user stay root, so that the other
user cannot signal or trace it.
"""

from __future__ import annotations

import ctypes
import os
import pwd

from agent_runtime.lazy import dataclass

# The C library's setgroups() changes all threads of the process, so the number of the system call is needed.
_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "loongarch64": 159, "ppc64le": 81, "s390x": 206}
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3 of linux/capability.h
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4  # linux/prctl.h


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@dataclass(frozen=True)
class FileCredentials:
    """A user id, a group id, and the supplementary groups."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    @classmethod
    def of(cls, user: str) -> FileCredentials:
        """Those of a user of this machine. Raises KeyError when there is no such user."""
        entry = pwd.getpwnam(user)
        return cls(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(user, entry.pw_gid)))

    @property
    def are_ours(self) -> bool:
        """Whether the process runs as this user already."""
        return os.geteuid() == self.uid

    def assume(self) -> None:
        """Give the calling thread these rights on files, and no others, until it ends.

        Raises OSError when the process may not do so, or on an architecture that is not known.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        dumpable = libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)
        _set_groups(libc, self.groups)
        for change, number in ((libc.setfsgid, self.gid), (libc.setfsuid, self.uid)):
            change(number)
            if change(-1) != number:  # both return the former value, never an error
                raise PermissionError(f"the rights of user {self.uid} cannot be assumed")
        _drop_capabilities(libc)
        # the kernel resets this flag of the process with the user, by a setting of the machine
        libc.prctl(_PR_SET_DUMPABLE, dumpable, 0, 0, 0)


def _set_groups(libc: ctypes.CDLL, groups: tuple[int, ...]) -> None:
    number = _SETGROUPS.get(os.uname().machine)
    if number is None:
        raise OSError(f"groups of a thread cannot be set on {os.uname().machine}")
    array = (ctypes.c_uint32 * len(groups))(*groups)
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(len(groups)), array):
        raise OSError(ctypes.get_errno(), "groups cannot be set")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Clear the effective set: a change of the file system user alone leaves CAP_SYS_PTRACE and others in it."""
    header, data = _Header(_CAPABILITY_VERSION, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capabilities cannot be read")
    for half in data:
        half.effective = 0
    if libc.capset(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")
