"""`agent-runtime doctor`: checks what a run needs, and gives advice on what is missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent_runtime.cli import doctor_network
from agent_runtime.cli.doctor_keys import examine_keys
from agent_runtime.cli.finding import Finding
from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode
from agent_runtime.system import landlock
from agent_runtime.system.cgroup import own_folder
from agent_runtime.version import VERSION

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_FEW_WATCHES = 65_536
_LITTLE_SPACE = 1 << 30  # bytes; the outputs of one run may need that much


def doctor_command(arguments: argparse.Namespace) -> int:
    """Print the findings; non-zero when something required is missing, or with `--keyless` when there is a key."""
    findings = list(examine_keys(os.environ) if arguments.keyless else examine(os.environ))
    missing = [finding.name for finding in findings if finding.status == "MISSING"]

    def label(finding: Finding) -> str:
        return "KEY" if arguments.keyless and finding.status == "MISSING" else finding.status

    if arguments.json:
        rows = [
            {
                "name": finding.name,
                "status": label(finding).lower(),
                "required": finding.required,
                "fact": finding.fact,
                "advice": finding.advice if not finding.ok else "",
            }
            for finding in findings
        ]
        sys.stdout.write(
            json.dumps({"ready": not missing, "missing": missing, "checks": rows}, indent=2) + "\n"
        )
    else:
        for finding in findings:
            advice = f"\n        -> {finding.advice}" if finding.advice and not finding.ok else ""
            sys.stdout.write(f"{label(finding):<7} {finding.name}: {finding.fact}{advice}\n")
        ready = "no key can be reached" if arguments.keyless else "ready to run"
        summary = (
            f"{'found' if arguments.keyless else 'required and missing'}: {', '.join(missing)}"
            if missing
            else ready
        )
        sys.stdout.write(f"\n{summary}\n")
    return ExitCode.FAILED if missing else ExitCode.COMPLETED


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings; fast and required checks come first."""
    yield Finding("agent-runtime", True, True, f"{VERSION}, Python {platform.python_version()}")
    yield _program("bash", True, "install bash: the shell tools need it", environ)
    yield _program(
        "git",
        False,
        "install git: without it the agent has no version control, and change tracking is slower",
        environ,
    )
    yield _program("rg", False, "install ripgrep: without it, searching is slower", environ)
    yield from doctor_network.keys(environ)
    yield from doctor_network.base_urls(environ)
    yield doctor_network.clock()
    yield _writable(
        "state", state_dir(None, environ), "make it writable, or set AGENT_RUNTIME_STATE_DIR", create=True
    )
    workspace = Path(environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()
    yield _writable("workspace", workspace, "make it writable, or set AGENT_RUNTIME_WORKSPACE")
    yield _writable("temporary folder", Path(tempfile.gettempdir()), "make it writable, or set TMPDIR")
    yield _disk(state_dir(None, environ))
    yield _inotify()
    yield _tokenizer()
    yield _proc()
    yield _groups()
    yield _landlock()


def _program(name: str, required: bool, advice: str, environ: Mapping[str, str]) -> Finding:
    path = shutil.which(name, path=environ.get("PATH"))
    if path is None:
        return Finding(name, False, required, "not found on PATH", advice)
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=5, check=True, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, False, required, f"{path} does not run: {error}", advice)
    first = (done.stdout.splitlines() or [""])[0]
    return Finding(name, True, required, f"{path} ({first})")


def _writable(name: str, path: Path, advice: str, *, create: bool = False) -> Finding:
    try:
        if create:
            path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        return Finding(name, False, True, f"{path}: {error.strerror}", advice)
    return Finding(name, True, True, f"{path} is writable")


def _disk(path: Path) -> Finding:
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    fact = f"{free / (1 << 30):.1f} GiB free at {path}"
    return Finding(
        "disk", free >= _LITTLE_SPACE, False, fact, "free some space: `agent-runtime clean` removes old runs"
    )


def _inotify() -> Finding:
    try:
        watches = int(_WATCHES.read_text())
    except (OSError, ValueError):
        return Finding(
            "inotify",
            False,
            False,
            "the limit cannot be read",
            "changes are found by scanning the workspace, which is slower",
        )
    advice = f"sysctl fs.inotify.max_user_watches={_FEW_WATCHES} or more; otherwise large trees are scanned"
    return Finding("inotify", watches >= _FEW_WATCHES, False, f"{watches} watches for each user", advice)


def _tokenizer() -> Finding:
    path = Path(__file__).parents[1] / "data" / "o200k_base.tiktoken"
    whole = path.is_file() and path.stat().st_size > 3_000_000
    fact = str(path) if whole else f"{path} is missing or truncated"
    return Finding("tokenizer", whole, True, fact, "reinstall agent-runtime")


def _proc() -> Finding:
    readable = os.access(f"/proc/{os.getpid()}/stat", os.R_OK) and os.access("/proc/net/tcp", os.R_OK)
    advice = "mount /proc: background processes and dev servers are found through it"
    return Finding("/proc", readable, False, "readable" if readable else "not readable", advice)


def _groups() -> Finding:
    usable = own_folder() is not None
    advice = "mount cgroup2 writable: without it only /proc says which processes belong to a call"
    return Finding("cgroups", usable, False, "usable" if usable else "not usable here", advice)


def _landlock() -> Finding:
    try:
        landlock.check()
    except OSError as error:
        return Finding("landlock", False, False, str(error), "only --confine needs it")
    return Finding("landlock", True, False, "--confine can be used")
