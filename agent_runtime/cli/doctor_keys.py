"""`agent-runtime doctor --keyless`: looks for API keys where the tools of a run could find them."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from agent_runtime.cli.finding import Finding
from agent_runtime.engine.run_config import state_dir
from agent_runtime.lazy import dataclass
from agent_runtime.output.masking import is_common
from agent_runtime.providers.clouds import cloud_variables
from agent_runtime.providers.provider_variables import key_variables

# Prefixes of keys, and how many characters follow at least
_FORMS = re.compile(
    rb"(?<![A-Za-z0-9])(?:"
    rb"sk-ant-[\w-]{20,}|sk-[\w-]{20,}|sk_[\w-]{24,}|AIza[\w-]{30,}|gsk_\w{20,}|xai-\w{20,}|hf_[A-Za-z0-9]{20,}"
    rb"|pplx-\w{20,}|nvapi-[\w-]{20,}|csk-\w{20,}|fw_\w{20,}|r8_\w{20,}|tgp_v1_[\w-]{20,}|cohere-\w{20,}"
    rb"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|A[KS]IA[0-9A-Z]{16}|ya29\.[\w-]{20,}"
    rb"|GOCSPX-[\w-]{20,})"
)
_LARGEST = 8 << 20  # bytes of one file that are read
_SECONDS = 20.0  # for all files
_DISTINCT = 8  # characters that a key has at least; `sk-000000000000000000000` is a placeholder
_NOT_LOOKED_AT = frozenset((".git", "node_modules", "site-packages", "__pycache__"))
_SYSTEM = (Path("/etc/environment"), Path("/run/secrets"), Path("/proc/cmdline"))


@dataclass(frozen=True)
class Found:
    """A key: where it is, and its first characters."""

    place: str
    begin: str


def keys_in(data: bytes) -> list[str]:
    """Return the first characters of the keys in a text. A key made of words is a placeholder."""
    found = [match.group() for match in _FORMS.finditer(data)]
    return [
        _begin(key.decode("ascii", "replace")) for key in found if is_real(key.decode("ascii", "replace"))
    ]


def is_real(value: str) -> bool:
    """Return whether a value looks like a key: random, not words or repeated characters."""
    body = re.sub(r"^[A-Za-z]+[-_]", "", value)
    long = len(body) >= 16 and not is_common(body)
    return long and any(char.isdigit() for char in body) and len(set(body)) >= _DISTINCT


def examine_keys(environ: Mapping[str, str], proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Yield a finding for each kind of place; a place with a key is a failed requirement."""
    yield _finding(
        "keys in the environment", in_environment(environ), "unset it: a proxy outside can add the key"
    )
    yield _finding("keys of other processes", in_processes(proc), "start it elsewhere, or as another user")
    deadline = time.monotonic() + _SECONDS
    places = {
        "keys in the state directory": [state_dir(None, environ)],
        "keys in the home directory": [Path(environ.get("HOME") or Path.home())],
        "keys in the workspace": [Path(environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()],
        "keys in system files": [*_SYSTEM],
    }
    for name, folders in places.items():
        found = [each for folder in folders for each in in_files(folder, deadline)]
        yield _finding(name, found, "remove the file, or the key from it")
    if time.monotonic() >= deadline:
        yield Finding(
            "time", False, False, f"not all files were read within {_SECONDS:.0f} s", "remove large folders"
        )


def in_environment(environ: Mapping[str, str]) -> list[Found]:
    """Return the keys in an environment, by their form or by the names of their variables."""
    named = key_variables() | cloud_variables()
    descriptors = {f"{name}_FD" for name in named}
    found = []
    for name, value in environ.items():
        begins = keys_in(os.fsencode(value)) or ([_begin(value)] if name in named and is_real(value) else [])
        if name in descriptors:
            begins = ["a descriptor"]
        found += [Found(name, begin) for begin in begins]
    return found


def in_processes(proc: Path) -> list[Found]:
    """Return the keys in the environments and command lines of other processes that this user may read."""
    found = []
    for folder in sorted(proc.glob("[0-9]*")):
        if folder.name == str(os.getpid()):
            continue
        with suppress(OSError, ValueError):
            entries = (folder / "environ").read_bytes().split(b"\0")
            pairs = (os.fsdecode(entry).partition("=") for entry in entries)
            environ = {name: value for name, equals, value in pairs if equals}
            found += [
                Found(f"pid {folder.name}, {each.place}", each.begin) for each in in_environment(environ)
            ]
        with suppress(OSError):
            arguments = (folder / "cmdline").read_bytes()
            found += [Found(f"pid {folder.name}, command line", begin) for begin in keys_in(arguments)]
    return found


def in_files(root: Path, deadline: float) -> Iterator[Found]:
    """Yield the keys in a file, or in the files of a folder that can be read before the deadline."""
    if not root.is_dir():
        yield from _in_file(root)
        return
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_LOOKED_AT]
        for name in names:
            if time.monotonic() >= deadline:
                return
            yield from _in_file(Path(folder) / name)


def _in_file(path: Path) -> Iterator[Found]:
    with suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode) or path.parent == Path("/proc"):
            with path.open("rb") as file:
                for begin in dict.fromkeys(keys_in(file.read(_LARGEST))):
                    yield Found(str(path), begin)


def _begin(key: str) -> str:
    return f"{key[:6]}... ({len(key)} characters)"


def _finding(name: str, found: list[Found], advice: str) -> Finding:
    listed = "; ".join(f"{each.place}: {each.begin}" for each in found[:5])
    more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
    return Finding(name, not found, True, f"{listed}{more}" if found else "none", advice)
