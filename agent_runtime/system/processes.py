"""The process table: finding whatever descends from a process, and signalling it safely."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent_runtime.system.kernel_files import link, read

_PF_EXITING = 0x4  # of the flags in /proc/PID/stat
MARKER = "AGENT_RUNTIME_CALL"  # the variable that names the call which a process comes from


@dataclass(frozen=True, slots=True)
class Process:
    """A row of the process table.

    A pid is used again; a pid together with `start` (clock ticks since boot) is not. These two identify a process.
    """

    pid: int
    ppid: int = field(compare=False)
    session: int = field(compare=False)
    state: str = field(compare=False)
    start: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process of that pid, or None (proc_pid_stat(5))."""
        stat = read(f"/proc/{pid}/stat")
        if not stat:
            return None
        fields = stat[stat.rindex(b")") + 2 :].split()
        return cls(pid, int(fields[1]), int(fields[3]), fields[0].decode(), int(fields[19]))

    @classmethod
    def own(cls) -> Process:
        """This process. Raises RuntimeError where /proc is not mounted, as in a bare chroot."""
        found = cls.of(os.getpid())
        if not found:
            raise RuntimeError("/proc is not mounted: mount it, e.g. by `mount -t proc proc ROOT/proc`")
        return found

    @property
    def gone(self) -> bool:
        """Whether it had ended, and may not have been reaped."""
        return self.state in "ZX"

    @property
    def is_dying(self) -> bool:
        """Whether it is on its way to its end: the kernel has begun it, or has SIGKILL pending for it, as after every
        signal that ends a process which does not handle it.
        """
        stat = read(f"/proc/{self.pid}/stat")
        if not stat or int(stat[stat.rindex(b")") + 2 :].split()[6]) & _PF_EXITING:
            return True
        pending = re.search(rb"^SigPnd:\s*([0-9a-f]+)", read(f"/proc/{self.pid}/status"), re.MULTILINE)
        return pending is not None and bool(int(pending[1], 16) & 1 << signal.SIGKILL - 1)

    @property
    def age(self) -> float:
        """How long ago it was started, in seconds."""
        return (now() - self.start) / os.sysconf("SC_CLK_TCK")

    @property
    def has_input(self) -> bool:
        """Whether its stdin is open, and not the null device. True where that cannot be seen."""
        try:
            return str(Path(f"/proc/{self.pid}/fd/0").readlink()) != os.devnull
        except FileNotFoundError:
            return False  # closed, or the process has ended
        except OSError:
            return True

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        now = Process.of(self.pid)
        return now is not None and now == self and not now.gone

    @property
    def command(self) -> str:
        """Its command line, on one line; the name alone where there is none."""
        words = read(f"/proc/{self.pid}/cmdline").replace(b"\0", b" ").decode("utf-8", "replace").split()
        return " ".join(words) or read(f"/proc/{self.pid}/comm").decode("utf-8", "replace").strip()

    @property
    def argv(self) -> tuple[str, ...]:
        """Its command line, word by word; empty for a zombie or a process that has gone."""
        words = read(f"/proc/{self.pid}/cmdline").rstrip(b"\0 ").split(b"\0")
        return tuple(word.decode("utf-8", "replace") for word in words if word)

    @property
    def cwd(self) -> str:
        """Its working directory; "" when it has gone or may not be looked at."""
        return link(f"/proc/{self.pid}/cwd")

    @property
    def sockets(self) -> set[int]:
        """The inodes of the sockets that it has open; none when it has gone or may not be looked at."""
        targets = self.open_files().values()
        return {int(target[8:-1]) for target in targets if target.startswith("socket:[")}

    def open_file(self, descriptor: int) -> str:
        """What a descriptor leads to, as /proc/PID/fd names it; "" when it is closed or may not be looked at."""
        return link(f"/proc/{self.pid}/fd/{descriptor}")

    def open_files(self) -> dict[int, str]:
        """What its descriptors lead to, as /proc/PID/fd names it; empty when it has gone or is another user's."""
        try:
            numbers = os.listdir(f"/proc/{self.pid}/fd")  # noqa: PTH208 - half the cost
        except OSError:
            return {}
        return {int(number): link(f"/proc/{self.pid}/fd/{number}") for number in numbers}

    @property
    def environment(self) -> tuple[str, ...]:
        """The entries (`NAME=value`) of the environment that it was started with; empty when it may not be read."""
        entries = read(f"/proc/{self.pid}/environ").split(b"\0")
        return tuple(entry.decode("utf-8", "replace") for entry in entries if entry)

    @property
    def marker(self) -> str | None:
        """The value of MARKER that it was started with."""
        for entry in read(f"/proc/{self.pid}/environ").split(b"\0"):
            if entry.startswith(MARKER.encode() + b"="):
                return entry[len(MARKER) + 1 :].decode("utf-8", "replace")
        return None

    @property
    def user(self) -> str:
        """The name of its user, or the id of one without a name; "" when it has gone."""
        import pwd  # needed for a message only

        try:
            uid = os.stat(f"/proc/{self.pid}").st_uid  # noqa: PTH116
        except OSError:
            return ""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def send(self, number: int) -> bool:
        """Send a signal, unless the pid belongs to another process by now. Returns False when that is not permitted."""
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(self.pid)
            try:
                if Process.of(self.pid) == self:
                    signal.pidfd_send_signal(fd, number)
            except PermissionError:
                return False
            finally:
                os.close(fd)
        return True


def now() -> int:
    """The present time as `Process.start` has it."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def memory(pid: int) -> int:
    """Return the private memory of a process in bytes; 0 when it has gone."""
    pages = [int(field) for field in read(f"/proc/{pid}/statm").split()]
    return (pages[1] - pages[2]) * os.sysconf("SC_PAGE_SIZE") if pages else 0
