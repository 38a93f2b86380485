"""What the init of the image does to the machine: mounts, network, clock, random state, memory, power. Needs root."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

_MOUNTS = (  # source, target, type, flags (nosuid 2, nodev 4, noexec 8), options
    ("tmpfs", "/run", "tmpfs", 2 | 4, "mode=755"),
    ("tmpfs", "/tmp", "tmpfs", 2 | 4, "mode=1777"),
    ("devpts", "/dev/pts", "devpts", 2 | 8, "mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", "tmpfs", 2 | 4, "mode=1777"),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2", 2 | 4 | 8, ""),
)
_WRITABLE = ("/workspace", "/home/agent", "/var/tmp")
_READ_ONLY, _REMOUNT, _BIND = 1, 32, 4096
_RNDADDENTROPY, _RNDRESEEDCRNG = 0x40085203, 0x5207
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFFLAGS, _SIOCADDRT = 0x8916, 0x891C, 0x8914, 0x890B
_UP = 0x1 | 0x40  # IFF_UP, IFF_RUNNING
_POWER_OFF = 0x4321FEDC


def mount_all() -> None:
    """Mount what programs expect, and make the root read-only but for the workspace, the home and /var/tmp.

    The initramfs has mounted /proc, /sys and /dev. Raises OSError when the root stays writable.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for source, target, kind, flags, options in _MOUNTS:
        with suppress(OSError):
            Path(target).mkdir(parents=True, exist_ok=True)
        libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode())
    # These stay as they are when the mount of the root, not its file system, becomes read-only.
    changes = [(target.encode(), _BIND) for target in _WRITABLE]
    for path, flags in (*changes, (b"/", _REMOUNT | _BIND | _READ_ONLY)):
        if libc.mount(path, path, None, flags, None):
            raise OSError(ctypes.get_errno(), f"cannot mount {path.decode()}")


def set_up_network(options: dict[str, str]) -> None:
    """Bring loopback up, and eth0 by `agent.ip=ADDRESS/BITS` and `agent.gateway=ADDRESS` of the command line."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _up(control, b"lo")
        if "agent.ip" not in options:
            return
        address, _, bits = options["agent.ip"].partition("/")
        mask = struct.pack("!I", (0xFFFFFFFF << (32 - int(bits or 24))) & 0xFFFFFFFF)
        fcntl.ioctl(control, _SIOCSIFADDR, _request(b"eth0", socket.inet_aton(address)))
        fcntl.ioctl(control, _SIOCSIFNETMASK, _request(b"eth0", mask))
        _up(control, b"eth0")
        if gateway := options.get("agent.gateway"):
            any_address = _address(b"\0\0\0\0")
            route = struct.pack("Q", 0) + any_address + _address(socket.inet_aton(gateway)) + any_address
            route += struct.pack("HhQIHhP", 0x3, 0, 0, 0, 0, 0, 0)  # RTF_UP, RTF_GATEWAY
            fcntl.ioctl(control, _SIOCADDRT, route.ljust(120, b"\0"))


def set_clock(seconds: float) -> None:
    """Set the wall clock to this time since the epoch."""
    time.clock_settime(time.CLOCK_REALTIME, seconds)


def add_entropy(data: bytes) -> None:
    """Mix entropy of the host into the kernel's random state, so that two forks of a snapshot differ."""
    with Path("/dev/urandom").open("wb", buffering=0) as device:
        fcntl.ioctl(device, _RNDADDENTROPY, struct.pack("ii", 8 * len(data), len(data)) + data)
        fcntl.ioctl(device, _RNDRESEEDCRNG)


def spare_from_memory_shortage(pid: int) -> None:
    """Let the kernel kill this process, and those that it will start, after others when memory is short."""
    with suppress(OSError):  # it has ended
        Path(f"/proc/{pid}/oom_score_adj").write_text("-500")


def was_killed_for_memory(pid: int) -> bool:
    """Return whether the kernel has killed this process because memory was short, as its log says."""
    device = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while True:
            try:
                if b"Killed process %d " % pid in os.read(device, 8192):
                    return True
            except BrokenPipeError:  # the record has been overwritten
                continue
            except BlockingIOError:  # there are no more
                return False
    finally:
        os.close(device)


def power_off() -> None:
    """Write everything to the disk, and end the machine."""
    os.sync()
    ctypes.CDLL(None).reboot(ctypes.c_int(_POWER_OFF))


def _address(packed: bytes) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, packed)


def _request(name: bytes, address: bytes) -> bytes:
    return name.ljust(16, b"\0") + _address(address) + bytes(8)


def _up(control: socket.socket, name: bytes) -> None:
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, _UP))
