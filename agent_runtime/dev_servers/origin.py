"""Reads from /proc where a server comes from: its command line, its ancestors, its output file, who chose the port."""

from __future__ import annotations

from pathlib import Path

from agent_runtime.dev_servers.programs import Protocol, names_port, protocol, serves_pages
from agent_runtime.lazy import dataclass
from agent_runtime.system.process_tree import lineage
from agent_runtime.system.processes import Process

_COMMAND_LIMIT = 1000  # characters of a command line that are kept


@dataclass(frozen=True)
class Origin:
    """The origin of a server when it was first seen.

    Args:
        command: its command line; None when it had gone.
        above: the process and those that started it.
        log: the file that its output goes to.
        protocol: what the command line says that it speaks.
        serves_pages: whether it is the development server of a front end.
        names_port: whether a command line, or a variable in its environment, names the port.
    """

    command: str | None = None
    above: frozenset[Process] = frozenset()
    log: Path | None = None
    protocol: Protocol | None = None
    serves_pages: bool = False
    names_port: bool = False

    @classmethod
    def of(cls, process: Process, port: int, root: int) -> Origin:
        """What is known of the process that listens on a port. `root`: the runtime, which is not part of it."""
        above, words = _up_to(root, list(lineage(process))), process.argv
        return cls(
            command=command_line(process),
            above=frozenset(above),
            log=_output_file(above, root),
            protocol=protocol(words, port),
            serves_pages=serves_pages(words),
            names_port=any(names_port(each.argv, port) for each in above)
            or any(entry.endswith(f"PORT={port}") for entry in process.environment),
        )


def command_line(process: Process) -> str | None:
    """What a process was started with, quoted for a shell; None when it has gone."""
    from shlex import join

    words = process.argv
    # one word is a title that the process gave itself, or a program without arguments
    return (words[0] if len(words) == 1 else join(words))[:_COMMAND_LIMIT] or None


def _up_to(root: int, processes: list[Process]) -> list[Process]:
    """Those below the runtime; of a process that is not below it, itself alone."""
    pids = [process.pid for process in processes]
    return processes[: pids.index(root)] if root in pids else processes[:1]


def _output_file(processes: list[Process], root: int) -> Path | None:
    """The file that the output of the first of these goes to, or of one above it: `concurrently` reads from pipes.

    Pipes, terminals, /dev/null and the runtime's own log do not count.
    """
    own = _outputs(Process.of(root))
    for process in processes:
        for path in _outputs(process):
            if path not in own and path.is_absolute() and path.is_file():
                return path
    return None


def _outputs(process: Process | None) -> list[Path]:
    return [Path(process.open_file(descriptor)) for descriptor in (1, 2)] if process else []
