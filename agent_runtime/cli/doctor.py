"""`agent-runtime doctor`: what a run needs, whether it is there, and what to do when it is not."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent_runtime.engine.run_config import state_dir
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.providers.catalog import PROVIDERS
from agent_runtime.providers.endpoints import base_variable, key_variables, resolve
from agent_runtime.system import landlock
from agent_runtime.system.cgroup import available

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_FEW_WATCHES = 65_536
_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do when it is not well."""

    name: str
    well: bool
    required: bool
    fact: str
    advice: str = ""


def doctor_command(environ: Mapping[str, str]) -> int:
    """Print the findings; non-zero when something required is missing."""
    findings = list(examine(environ))
    for finding in findings:
        mark = "ok     " if finding.well else "MISSING" if finding.required else "note   "
        advice = f"\n        -> {finding.advice}" if finding.advice and not finding.well else ""
        sys.stdout.write(f"{mark} {finding.name}: {finding.fact}{advice}\n")
    broken = [finding.name for finding in findings if finding.required and not finding.well]
    sys.stdout.write(f"\nrequired and missing: {', '.join(broken)}\n" if broken else "\nready to run\n")
    return ExitCode.FAILED if broken else ExitCode.COMPLETED


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything."""
    yield _program("bash", True, "install bash: the shell tools need it", environ)
    yield _program(
        "git",
        False,
        "install git: without it the agent has no version control, and change tracking is slower",
        environ,
    )
    yield _program(
        "rg", False, "install ripgrep: grep and file_search fall back to slower code of ours", environ
    )
    yield from _keys(environ)
    yield from _base_urls(environ)
    yield _inotify()
    yield _state(environ)
    yield _tokenizer()
    yield _proc()
    yield _groups()
    yield _landlock()


def _program(name: str, required: bool, advice: str, environ: Mapping[str, str]) -> Finding:
    path = shutil.which(name, path=environ.get("PATH"))
    return Finding(name, path is not None, required, path or "not found on PATH", advice)


def _keys(environ: Mapping[str, str]) -> Iterator[Finding]:
    present = sorted(name for name in key_variables() if environ.get(name) or environ.get(f"{name}_FD"))
    fact = f"set: {', '.join(present)}" if present else "none of the providers' key variables is set"
    advice = "export ANTHROPIC_API_KEY or OPENAI_API_KEY, or give `model.apiKey` in the request"
    if not (model := environ.get("AGENT_RUNTIME_MODEL")):
        yield Finding("keys", bool(present), True, fact, advice)
        return
    try:
        endpoint = resolve(model, environ)
    except RequestError as error:
        yield Finding("model", False, True, f"AGENT_RUNTIME_MODEL is {model}", error.expected)
        return
    key = endpoint.key_variable
    well = not endpoint.needs_key or bool(endpoint.api_key or environ.get(f"{key}_FD"))
    yield Finding("keys", well, True, fact, f"export {key}: {model} (AGENT_RUNTIME_MODEL) needs it")


def _base_urls(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted({base_variable(provider) for provider in PROVIDERS}):
        if (value := environ.get(name)) is None:
            continue
        url = urlsplit(value)
        if url.password:
            value = value.replace(f":{url.password}@", ":[secret]@")
        if url.scheme not in ("http", "https") or not url.hostname:
            advice = "give a URL that begins with http:// or https://, or unset it"
            yield Finding(name, False, True, value, advice)
            continue
        problem = _unreachable(url.hostname, url.port or (443 if url.scheme == "https" else 80))
        fact = f"{value}: {problem or 'answers'}"
        yield Finding(
            name, not problem, False, fact, "start what should answer there, or unset it (a proxy may help)"
        )


def _unreachable(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return f"no connection ({error.strerror or error})"
    return ""


def _inotify() -> Finding:
    try:
        watches = int(_WATCHES.read_text())
    except (OSError, ValueError):
        return Finding(
            "inotify", False, False, "no limit can be read", "changes are found by scanning, which is slower"
        )
    advice = f"sysctl fs.inotify.max_user_watches={_FEW_WATCHES} or more; else large trees are scanned"
    return Finding("inotify", watches >= _FEW_WATCHES, False, f"{watches} watches for each user", advice)


def _state(environ: Mapping[str, str]) -> Finding:
    path = state_dir(None, environ)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        return Finding(
            "state",
            False,
            True,
            f"{path}: {error.strerror}",
            "make it writable, or set AGENT_RUNTIME_STATE_DIR",
        )
    return Finding("state", True, True, f"{path} can be written")


def _tokenizer() -> Finding:
    path = Path(__file__).parents[1] / "data" / "o200k_base.tiktoken"
    well = path.is_file() and path.stat().st_size > 3_000_000
    return Finding(
        "tokenizer", well, True, str(path) if well else f"{path} is missing or cut", "reinstall agent-runtime"
    )


def _proc() -> Finding:
    well = os.access(f"/proc/{os.getpid()}/stat", os.R_OK) and os.access("/proc/net/tcp", os.R_OK)
    return Finding(
        "/proc",
        well,
        False,
        "readable" if well else "not readable",
        "mount /proc: leftover processes and dev servers are found there",
    )


def _groups() -> Finding:
    well = available()
    return Finding(
        "cgroups",
        well,
        False,
        "can be made" if well else "cannot be made here",
        "mount cgroup2 writable: without it only /proc tells which processes belong to a call",
    )


def _landlock() -> Finding:
    try:
        landlock.check()
    except OSError as error:
        return Finding("landlock", False, False, str(error), "only --confine needs it")
    return Finding("landlock", True, False, "--confine can be used")
