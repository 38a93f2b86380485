#!/usr/bin/env python3
"""Checks the promises of runs in a sandbox, from outside and the same for each kind of sandbox:

sandbox_checks.py local                     processes of this machine
sandbox_checks.py tree DIR                  the tree of build-rootfs, by bubblewrap
sandbox_checks.py container IMAGE [OPTION]  an image, by podman; options are those of `podman run`
vm-test FOLDER                              a machine of build-vm, with checks of snapshots

Executed by the environment of the repository. The model is a scripted one on this machine, which the sandbox must be
able to reach. Prints one line for each check, and the seconds that it took.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "examples/fc_agent"), str(HERE.parent)]

from sandboxes import Sandbox, container, local, tree  # noqa: E402  # pyright: ignore[reportMissingImports]

from agent_runtime.testing.model_server import Call, Fault, ModelServer, Request, Turn  # noqa: E402
from agent_runtime.testing.runtime import check  # noqa: E402

Event = dict[str, Any]
Ends = dict[str, tuple[list[Event], int]]  # by the caller's names of runs: events, exit status
Reaction = Callable[[str, Event], None]

LONG = 300_000  # characters
DONE = Turn(text="done")


def bash(command: str) -> Turn:
    """Return a turn that calls `bash`."""
    return Turn(calls=[Call("bash", {"command": command})])


COUNT = "echo x >>steps; sleep 0.2; wc -l <steps; cat /proc/sys/kernel/random/uuid"
SERVE = "python3 -m http.server --bind 127.0.0.1 $PORT >/dev/null 2>&1 &"
MOUNTS = (
    "for path in / /workspace /home/agent /var/tmp; do findmnt -no OPTIONS --target $path | cut -d, -f1; done"
)
TURNS = {  # by the prompt; the last one is repeated
    "files": [
        bash("printf 'one\\n' >made.txt"),
        bash("cat made.txt; printf 'two\\n' >>made.txt; id -u"),
        DONE,
    ],
    "clean": [bash("rm -f steps thawed made.txt"), DONE],
    "limit": [bash("true")],
    "refused": [Turn(fault=Fault(401, message="no such key"))],
    "cancel": [bash("sleep 600")],
    "steps": [bash(COUNT), bash(COUNT), bash(COUNT), DONE],
    "long": [Turn(text="0123456789" * (LONG // 10))],
    "serve": [bash(SERVE), bash("until [ -e thawed ]; do sleep 0.1; done"), DONE],
    "mounts": [bash(MOUNTS), DONE],
    "thawed": [bash("touch thawed"), DONE],
}


def script(request: Request) -> Turn:
    """Answer by the prompt, and by the number of results that the request has."""
    messages = request.body["messages"]
    [name] = [name for name in TURNS if f"check {name}." in str(messages[0])]
    step = str(messages).count("'tool_result'")
    return TURNS[name][min(step, len(TURNS[name]) - 1)]


class Checks:
    """The checks of one sandbox.

    Args:
        sandbox: where the runs take place; its workspace is empty.
        host: the address of this machine, as seen in the sandbox.
        server: plays `script`.
    """

    def __init__(self, sandbox: Sandbox, host: str, server: ModelServer) -> None:
        self._sandbox = sandbox
        self._model = {
            "provider": "custom",
            "format": "anthropic",
            "endpoint": f"http://{host}:{server.port}",
            "name": "scripted",
            "apiKey": "k",
        }

    def all(self) -> Iterator[str]:
        """Run them. Yields what each has shown; raises AssertionError."""
        runs = (self.two, self.freeze, self.dev_url, self.long)
        for each in (self.demo, self.files, self.exit_codes, self.cancel, *runs):
            began = time.monotonic()
            shown = each()
            yield f"{shown} ({time.monotonic() - began:.1f} s)"

    def request(self, name: str, **more: Any) -> Event:
        """Return the request of a check."""
        return {
            "prompt": f"check {name}.",
            "model": self._model,
            "tools": ["bash"],
            "runId": f"run_{name}",
        } | more

    def follow(self, reaction: Reaction | None = None) -> Ends:
        """Follow all runs to their ends, and check their event streams. `reaction` is called with each event."""
        events: dict[str, list[Event]] = {}
        ends: Ends = {}
        for id, what in self._sandbox.happenings():
            if isinstance(what, int):
                ends[id] = (events.get(id, []), what)
                continue
            events.setdefault(id, []).append(what)
            if reaction:
                reaction(id, what)
        for stream, code in ends.values():
            if "text" not in stream[0]:
                check(stream, code)
        return ends

    def run(self, name: str, reaction: Reaction | None = None, **more: Any) -> tuple[list[Event], int]:
        """Start the run of a check and follow it to its end."""
        self._sandbox.start(name, self.request(name, **more))
        return self.follow(reaction)[name]

    def demo(self) -> str:
        """The recorded session, with real tools."""
        self._sandbox.execute("demo", "demo", "--format", "ndjson")
        events, code = self.follow()["demo"]
        assert (code, events[-1]["status"]) == (0, "completed"), events[-1]
        assert {"file_edit", "tool_call", "tool_result", "dev_url"} <= {event["type"] for event in events}
        return f"demo: {len(events)} events"

    def files(self) -> str:
        """Tools, their output, and the events of the files that they change."""
        self.run("clean")
        events, code = self.run("files")
        outputs = [event["output"] for event in events if event["type"] == "tool_result"]
        assert code == 0 and "one" in outputs[1], outputs
        edits = [event["path"] for event in events if event["type"] == "file_edit"]
        assert len(edits) == 2 and all(path.endswith("made.txt") for path in edits), edits
        assert len(events[-1]["files"]) == 1, events[-1]["files"]
        return "tools and files"

    def exit_codes(self) -> str:
        """Exit statuses 1, 2 and 3, and the codes of their errors."""
        shown = []
        cases: tuple[tuple[str, dict[str, Any], tuple[int, str]], ...] = (
            ("refused", {}, (1, "authentication_error")),
            ("files", {"prompt": 7}, (2, "invalid_request")),
            ("limit", {"maxTurns": 2}, (3, "max_turns")),
        )
        for name, more, expected in cases:
            events, code = self.run(name, **more)
            error = events[-1].get("error") or {"code": events[-1]["stopReason"]}
            assert (code, error["code"]) == expected, (code, events[-1])
            shown.append(str(code))
        return f"exit codes {', '.join(shown)}"

    def cancel(self) -> str:
        """A run that is cancelled in a tool ends at once, and leaves nothing."""

        def react(id: str, event: Event) -> None:
            if event["type"] == "tool_call":
                self._sandbox.control(id, {"action": "cancel"})

        events, code = self.run("cancel", react)
        assert (code, events[-1]["status"], events[-1]["left"]) == (130, "cancelled", []), (code, events[-1])
        return "cancel"

    def two(self) -> str:
        """Two runs at once."""
        for name in ("one", "two"):
            self._sandbox.start(name, self.request("limit", maxTurns=3, runId=f"run_{name}"))
        ends = self.follow()
        assert {name: {event["runId"] for event in events} for name, (events, _) in ends.items()} == {
            "one": {"run_one"},
            "two": {"run_two"},
        }
        return "two runs at once"

    def freeze(self) -> str:
        """A frozen run goes on after the thaw, with each step once."""
        self.run("clean")
        frozen = []

        def react(id: str, event: Event) -> None:
            if event["type"] == "tool_result" and not frozen:
                frozen.append(event)
                self._sandbox.freeze()
            elif event.get("code") == "frozen":
                self._sandbox.thaw({id: {"runId": "run_fork"}})

        events, code = self.run("steps", react)
        assert code == 0 and events[-1]["runId"] == "run_fork", (code, events[-1])
        codes = [event["code"] for event in events if event.get("code") in ("frozen", "thawed")]
        assert codes == ["frozen", "thawed"], codes
        counts = [event["output"].split()[0] for event in events if event["type"] == "tool_result"]
        assert counts == ["1", "2", "3"], counts
        return "freeze and thaw"

    def dev_url(self) -> str:
        """A server's address, and its new one after a thaw in another sandbox. Two runs share the workspace."""
        self.run("clean")
        port = random.randrange(20_000, 30_000)
        urls = []

        def react(id: str, event: Event) -> None:
            if event["type"] == "dev_url" and event.get("status", "up") == "up":
                urls.append(event["url"])
                if len(urls) == 1:
                    self._sandbox.freeze()
                else:
                    self._sandbox.start("thawed", self.request("thawed"))
            elif event.get("code") == "frozen":
                self._sandbox.thaw({id: {"sandboxId": "sb-two"}})

        template = "https://{port}-{sandboxId}.example.com"
        events, code = self.run("serve", react, devUrl=template, sandboxId="sb-one", env={"PORT": str(port)})
        assert code == 0, events[-1]
        assert urls == [f"https://{port}-{name}.example.com" for name in ("sb-one", "sb-two")], urls
        return "dev server"

    def long(self) -> str:
        """A long answer reaches a reader that stops for a while, whole."""
        waited = []

        def react(id: str, event: Event) -> None:
            if event["type"] not in ("start", "complete") and not waited:
                waited.append(id)
                time.sleep(2)

        events, code = self.run("long", react)
        assert code == 0 and events[-1]["output"] == "0123456789" * (LONG // 10)
        return f"{len(events):,} events to a slow reader"


def main() -> int:
    """Run the command line."""
    kind, *arguments = sys.argv[1:]
    with (
        tempfile.TemporaryDirectory(prefix="sandbox-checks-") as folder,
        ModelServer([script], repeat_last=True) as server,
    ):
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        workspace.chmod(0o777)
        Path(folder).chmod(0o755)
        match kind:
            case "local":
                sandbox = local(str(workspace))
            case "tree":
                sandbox = tree(arguments[0], str(workspace))
            case "container":
                sandbox = container(arguments[0], str(workspace), "podman", "--network=host", *arguments[1:])
            case _:
                sys.exit(__doc__)
        for shown in Checks(sandbox, "127.0.0.1", server).all():
            print("ok:", shown, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
