"""Watchers of servers, and the programs that these tests let them see."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from agent_runtime.dev_servers.ownership import Ownership
from agent_runtime.dev_servers.urls import Template
from agent_runtime.dev_servers.watcher import DevServerWatcher
from agent_runtime.shell.call_processes import Background
from agent_runtime.system.processes import Process
from agent_runtime.system.sockets import listeners

# Runs each line that it reads from the FIFO `commands`, in the folder that the line begins with.
DAEMON = """
import os, subprocess
open("ready", "w")
while True:
    with open("commands") as fifo:
        for line in fifo:
            folder, _, command = line.strip().partition(" ")
            subprocess.Popen(command, shell=True, cwd=folder, env={"PATH": os.environ["PATH"]})
"""


def make_watcher(
    *,
    template: str | None = None,
    sandbox_id: str | None = None,
    root_pid: int | None = None,
    marker: str | None = None,
    workspace: Path | None = None,
    background: Callable[[], Sequence[Background]] = lambda: (),
    printed: Callable[[], Sequence[str]] = lambda: (),
) -> DevServerWatcher:
    """The sockets that listen now are not its own."""
    ownership = Ownership(root_pid, marker, workspace)
    ownership.begin()
    return DevServerWatcher(ownership, Template(template, sandbox_id), background=background, printed=printed)


def listening_port(pid: int) -> int | None:
    """The port that a process listens on; None as long as it does not."""
    table = {listener.inode: listener.port for listener in listeners()}
    process = Process.of(pid)
    return next((table[inode] for inode in process.sockets & table.keys()), None) if process else None


def ask(folder: Path, where: Path | str, command: str) -> None:
    """Let the `DAEMON` of a folder run a command in the directory `where`."""
    (folder / "commands").write_text(f"{where} {command}\n")


def run_words(folder: Path, where: Path | str, *words: str) -> None:
    """As `ask`, with the words of the command."""
    ask(folder, where, "exec " + shlex.join(words))
