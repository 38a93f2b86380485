"""Where runs take place: a process of this machine, a container, a virtual machine. All have the same methods."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from endings import Endings

Json = dict[str, Any]
Happening = tuple[str, Json | int]  # the id of a run, and its event, or its exit status at the end


def event_of(line: str) -> Json:
    """Return an event from its line; any other line is `{"text": LINE}`."""
    return json.loads(line) if line.startswith("{") else {"text": line}


def status_of(code: int) -> int:
    """Return the exit status as a shell has it, from one that is negative for a signal."""
    return 128 - code if code < 0 else code


class Sandbox(Protocol):
    """A place where runs take place."""

    def start(self, id: str, request: Json, env: Mapping[str, str] | None = None) -> None:
        """Begin a run. `id` is the caller's name for it."""

    def execute(self, id: str, *arguments: str) -> None:
        """Execute another command of agent-runtime; a line of its output that is not an event is `{"text": LINE}`."""

    def control(self, id: str, line: Json) -> None:
        """Send a control line to a run."""

    def happenings(self) -> Iterator[Happening]:
        """Yield what happens in all runs, until none is under way.

        The events of each run end with `complete`, however it has ended: see Endings.
        """
        ...

    def freeze(self) -> None:
        """Freeze all runs; their notices `frozen` come as events. A snapshot may be taken after that."""

    def thaw(self, renewals: Mapping[str, Json] | None = None) -> None:
        """Let the runs go on. A fork gives each run the fields of its `thaw`, by the caller's names."""

    def close(self) -> None:
        """End everything."""


class Processes:
    """Runs as processes: of this machine, or with a prefix such as `podman run`, one container each."""

    def __init__(self, prefix: Sequence[str], *, cwd: str | None = None) -> None:
        self._prefix, self._cwd = prefix, cwd
        self._runs: dict[str, subprocess.Popen[bytes]] = {}
        self._queue: queue.Queue[Happening] = queue.Queue(64)  # bounded: a slow reader slows the runs
        self._under_way: set[str] = set()
        self._endings = Endings()

    def start(self, id: str, request: Json, env: Mapping[str, str] | None = None) -> None:
        """See Sandbox."""
        self._endings.begin(id, request)
        self._launch(id, ["run"], env)
        self.control(id, request)

    def execute(self, id: str, *arguments: str) -> None:
        """See Sandbox."""
        self._launch(id, arguments)

    def _launch(self, id: str, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start a process. Its session is new: Ctrl-C reaches this process alone, which cancels the runs."""
        run = subprocess.Popen(
            [*self._prefix, *arguments],
            cwd=self._cwd,
            env=os.environ | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._runs[id] = run
        self._under_way.add(id)
        threading.Thread(target=self._read, args=(id, run), daemon=True).start()

    def _read(self, id: str, run: subprocess.Popen[bytes]) -> None:
        assert run.stdout
        with run.stdout:
            for line in run.stdout:
                if line.endswith(b"\n") or not line.startswith(b"{"):  # half an event is none
                    self._queue.put((id, event_of(line.decode(errors="replace").rstrip("\n"))))
        self._queue.put((id, run.wait()))

    def control(self, id: str, line: Json) -> None:
        """See Sandbox."""
        stdin = self._runs[id].stdin
        assert stdin
        with suppress(BrokenPipeError):  # it has ended
            stdin.write(json.dumps(line).encode() + b"\n")
            stdin.flush()

    def happenings(self) -> Iterator[Happening]:
        """See Sandbox."""
        while self._under_way:
            id, what = self._queue.get()
            if not isinstance(what, int):
                yield id, self._endings.take(id, what)
                continue
            code = status_of(what)
            for event in self._endings.end(id, f"its process has ended with status {code}"):
                yield id, event
            self._under_way.discard(id)
            yield id, code

    def freeze(self) -> None:
        """See Sandbox."""
        for id in self._under_way:
            self.control(id, {"action": "freeze"})

    def thaw(self, renewals: Mapping[str, Json] | None = None) -> None:
        """See Sandbox."""
        for id in self._under_way:
            self.control(id, {"action": "thaw"} | dict((renewals or {}).get(id, {})))

    def close(self) -> None:
        """See Sandbox."""
        for run in self._runs.values():
            run.send_signal(signal.SIGTERM)
            run.wait()
            assert run.stdin
            with suppress(BrokenPipeError):
                run.stdin.close()


def local(workspace: str) -> Processes:
    """Return a sandbox of processes of this machine."""
    return Processes([sys.executable, "-I", "-m", "agent_runtime"], cwd=workspace)


def tree(root: str, workspace: str) -> Processes:
    """Return a sandbox whose runs are in the tree of build-rootfs, by bubblewrap: namespaces, a root that cannot be
    written to, the user of the image. The network is that of this machine."""
    bwrap = f"""
        bwrap --unshare-pid --unshare-ipc --unshare-uts --die-with-parent --as-pid-1 --clearenv
        --ro-bind {root} / --proc /proc --dev /dev --bind {workspace} /workspace --chdir /workspace
        --perms 1777 --tmpfs /tmp --perms 1777 --tmpfs /home/agent --setenv HOME /home/agent
        --setenv PATH /usr/local/bin:/usr/bin:/bin --setenv LANG C.UTF-8
        setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --
        /opt/agent-runtime/bin/python -I -m agent_runtime
    """
    return Processes(bwrap.split())


def container(image: str, workspace: str, engine: str = "podman", *options: str) -> Processes:
    """Return a sandbox whose runs are containers: no capabilities, a root that cannot be written to."""
    flags = [
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--read-only",
        "--tmpfs=/tmp",
        "--tmpfs=/home/agent",
    ]
    return Processes([engine, "run", "--rm", "-i", *flags, "-v", f"{workspace}:/workspace", *options, image])
