"""What an FC Agent does: boot a sandbox, hand a run over, follow its events, freeze, thaw and fork it.

python examples/fc_agent local REQUEST WORKSPACE
python examples/fc_agent container REQUEST WORKSPACE --image agent-runtime [--engine podman]
python examples/fc_agent vm REQUEST --image FOLDER [--fork]     FOLDER is what sandbox-image/build-vm has made

`--freezes N` freezes and thaws the run at most N times, after tool results. `--fork` takes a snapshot at the first
freeze, and lets a second machine go on from there under a run id of its own. Events are printed as lines; keys are
taken from the environment. The exit status is that of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machines import Machine
from qemu import Qemu
from sandboxes import Processes, container, local

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "AGENT_RUNTIME_MODEL")
Sandbox = Processes | Machine
Happening = tuple[str, Any]


def follow(sandbox: Sandbox, freezes: int) -> int:
    """Print the events of the run, and return its exit status. Freezes the run after the first tool results."""
    code, is_freezing = 1, False
    for _, what in sandbox.happenings():
        if isinstance(what, int):
            code = what
            continue
        print(json.dumps(what, ensure_ascii=False), flush=True)
        if what["type"] == "tool_result" and freezes and not is_freezing:
            freezes, is_freezing = freezes - 1, True
            sandbox.freeze()
        elif what["type"] == "notice" and what["code"] == "frozen":
            sandbox.thaw()
            is_freezing = False
    return code


def follow_until_frozen(machine: Machine) -> Iterator[Happening]:
    """Yield what happens until the machine is frozen after the first tool result, or the run has ended."""
    for happening in machine.happenings():
        yield happening
        if isinstance(happening[1], dict) and happening[1]["type"] == "tool_result":
            machine.freeze()
            yield from machine.wait_frozen()
            return


def in_machine(options: argparse.Namespace, request: dict[str, Any], env: dict[str, str]) -> int:
    """Boot the machine, and follow the run in it, and in a fork of it."""
    with tempfile.TemporaryDirectory(prefix="fc-agent-") as folder:
        vm = Qemu(Path(options.image), Path(folder) / "vm", accelerator=options.accelerator)
        fork = None
        try:
            vm.machine.wait_ready()
            vm.machine.start("run", request, env)
            if not options.fork:
                return follow(vm.machine, options.freezes)
            for _, what in follow_until_frozen(vm.machine):
                print(json.dumps(what, ensure_ascii=False), flush=True)
            vm.snapshot(Path(folder) / "snapshot")
            fork = vm.fork(Path(folder) / "snapshot", Path(folder) / "fork")
            fork.machine.thaw({"run": {"runId": "run_fork", "sandboxId": "fork"}})
            code = follow(fork.machine, 0)
            vm.go()
            vm.machine.thaw()
            return follow(vm.machine, options.freezes) or code
        except OSError as error:
            print(f"fc_agent: the machine has ended: {error}", file=sys.stderr)
            return 1
        finally:
            vm.close()
            if fork:
                fork.close()


def main() -> int:
    """Run the command line; returns the exit status of the run."""
    parser = argparse.ArgumentParser(prog="fc_agent")
    parser.add_argument("where", choices=("local", "container", "vm"))
    parser.add_argument("request", type=Path)
    parser.add_argument("workspace", nargs="?", default=".")
    parser.add_argument("--image", default="agent-runtime")
    parser.add_argument("--engine", default="podman")
    parser.add_argument("--accelerator", default="tcg", help="of QEMU: kvm where the machine has it")
    parser.add_argument("--freezes", type=int, default=0)
    parser.add_argument("--fork", action="store_true")
    options = parser.parse_args()
    request = json.loads(options.request.read_text("utf-8"))
    env = {name: os.environ[name] for name in KEYS if name in os.environ}
    if options.where == "vm":
        return in_machine(options, request, env)
    workspace = str(Path(options.workspace).resolve())
    if options.where == "local":
        sandbox = local(workspace)
    else:
        sandbox = container(options.image, workspace, options.engine, *(f"--env={name}" for name in env))
    sandbox.start("run", request)
    return follow(sandbox, options.freezes)


if __name__ == "__main__":
    sys.exit(main())
