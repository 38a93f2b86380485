"""Boots the machine of build-vm in QEMU, takes snapshots of it, and starts any number of machines from one."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from machines import Machine, connect_unix

BOOT_ARGS = "console=ttyS0 quiet panic=-1 reboot=t"


def command(image: Path, folder: Path, *, accelerator: str = "tcg", memory: int = 512) -> list[str]:
    """Return the command line. The guest reaches the host as 10.0.2.2, and nothing else when `restrict=on` is added."""
    boot_args = f"{BOOT_ARGS} agent.time={time.time():.3f} agent.ip=10.0.2.15/24 agent.gateway=10.0.2.2"
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-M", f"q35,accel={accelerator}", "-m", f"{memory}M", "-smp", "1"),
        *("-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initramfs.gz"), "-append", boot_args),
        *("-drive", f"id=root,file={folder / 'disk.ext4'},format=raw,if=none,cache=writeback"),
        *("-device", "virtio-blk-pci,drive=root", "-device", "virtio-rng-pci"),
        *("-chardev", f"socket,path={folder / 'port.sock'},server=on,wait=off,id=port"),
        *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port,name=org.agent.0"),
        *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"),
        *("-serial", f"file:{folder / 'console.log'}"),
        *("-qmp", f"unix:{folder / 'qmp.sock'},server=on,wait=off"),
    ]


class Qemu:
    """A virtual machine and the process that runs it.

    Args:
        image: the folder that build-vm has made.
        folder: for the disk of this machine, its sockets and its console.
        snapshot: start from this one, and not at the boot.
    """

    def __init__(
        self, image: Path, folder: Path, *, snapshot: Path | None = None, accelerator: str = "tcg"
    ) -> None:
        self.image, self.folder = image, folder
        folder.mkdir(parents=True, exist_ok=True)
        disk = snapshot / "disk.ext4" if snapshot else image / "rootfs.ext4"
        _copy(disk, folder / "disk.ext4")
        line = command(image, folder, accelerator=accelerator)
        if snapshot:
            line += ["-incoming", f"exec:cat {snapshot / 'memory'}"]
        self.process = subprocess.Popen(line)
        self._connect = partial(
            connect_unix, folder / "port.sock", is_running=lambda: self.process.poll() is None
        )
        self.machine = Machine(self._connect)

    def snapshot(self, folder: Path) -> None:
        """Save memory and disk. The machine is stopped afterwards; `go` lets it go on."""
        folder.mkdir()
        self.ask("stop")
        self.ask("migrate", uri=f"exec:cat > {folder / 'memory'}")
        while (state := self.ask("query-migrate")["status"]) != "completed":
            if state == "failed":
                raise RuntimeError("the snapshot could not be written")
            time.sleep(0.05)
        _copy(self.folder / "disk.ext4", folder / "disk.ext4")

    def fork(self, snapshot: Path, folder: Path) -> Qemu:
        """Return another machine that goes on from a snapshot of this one, ready to be thawed."""
        other = Qemu(self.image, folder, snapshot=snapshot)
        other.machine = self.machine.fork(other._connect)
        while other.ask("query-status")["status"] == "inmigrate":
            time.sleep(0.05)
        other.go()
        return other

    def go(self) -> None:
        """Let a stopped machine go on."""
        self.ask("cont")

    def ask(self, name: str, **arguments: Any) -> Any:
        """Execute a command of the monitor, and return its answer. Raises RuntimeError when it is refused."""
        with connect_unix(self.folder / "qmp.sock") as stream, stream.makefile("rw") as lines:
            lines.readline()  # the greeting
            for each in ({"execute": "qmp_capabilities"}, {"execute": name, "arguments": arguments}):
                lines.write(json.dumps(each))
                lines.flush()
                answer = json.loads(lines.readline())
                while "event" in answer:
                    answer = json.loads(lines.readline())
        if "error" in answer:
            raise RuntimeError(f"{name}: {answer['error']['desc']}")
        return answer["return"]

    def close(self) -> None:
        """End the machine."""
        with suppress(OSError, socket.timeout):
            self.machine.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _copy(disk: Path, to: Path) -> None:
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", disk, to], check=True)
