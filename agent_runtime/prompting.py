"""Agent definitions: finding one by its slug, and reading its file. Cheap: it happens before the first event.

A definition is `SLUG.md`: flat front matter between two `---` lines, then the system prompt as a template. It
is looked for in `--agents-dir`, in `<workspace>/.agent-runtime/agents` and among the built-in ones, in this
order. Rendering is the part of `template`: it imports jinja2 and happens when the stream has started.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError

DEFAULT_AGENT = "code-assistant"
WORKSPACE_AGENTS = Path(".agent-runtime") / "agents"

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MAX_FILE = 1 << 20  # bytes of a definition
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*):(?:[ \t]+(.*))?")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")
_PLAIN = re.compile(r"[A-Za-z0-9_/][^#]*")
_NUMBER = re.compile(r"0|[1-9]\d*|\d\.\d+")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})  # more than text to YAML


@dataclass(frozen=True)
class Agent:
    """A definition as it was found. `template` is unrendered; None: the request or the default decides."""

    slug: str
    name: str
    template: str
    path: Path
    description: str = ""
    model: str | tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    max_turns: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None


def agent_directories(workspace: Path, agents_dir: Path | None = None) -> list[Path]:
    """Where definitions are looked for, the first hit wins."""
    builtin = Path(__file__).parent / "prompts" / "agents"
    return [*([agents_dir] if agents_dir else []), workspace / WORKSPACE_AGENTS, builtin]


def find_agent(slug: str, directories: Sequence[Path]) -> Agent:
    """The agent of that slug.

    Raises:
        RequestError: for `agent`, when there is none of that name or its file cannot be used; the message
            names the file and the field of its front matter.
    """
    if not _SLUG.fullmatch(slug):
        raise RequestError("agent", f"a slug of letters, digits, `-` and `_` is expected, not {slug[:80]!r}")
    for directory in directories:
        path = directory / f"{slug}.md"
        if os.path.lexists(path):
            return _read(slug, path, inside=_workspace_of(directory))
    known = ", ".join(known_agents(directories)) or "none"
    raise RequestError("agent", f"there is no agent {slug!r}; known agents: {known}")


def known_agents(directories: Sequence[Path]) -> list[str]:
    """The slugs in these directories, sorted. A directory that cannot be read has none."""
    found: set[str] = set()
    for directory in directories:
        try:
            found.update(path.stem for path in directory.iterdir() if path.suffix == ".md")
        except OSError:
            continue
    return sorted(filter(_SLUG.fullmatch, found))


def read_bounded(path: Path, limit: int, *, inside: Path | None = None) -> bytes:
    """At most `limit` bytes of a regular file; never waits, whatever the path is (a FIFO, a device).

    Args:
        path: the file.
        limit: bytes; one more is read, so that the caller sees that there are more.
        inside: refuse a file that is, links followed, not below this directory.

    Raises:
        OSError: it cannot be read, is not a regular file, or is outside.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"not a regular file: {path}")
        real = Path(f"/proc/self/fd/{file.fileno()}").readlink()
        if real.parts[1] in ("proc", "sys"):  # regular by their kind, and full of this process's secrets
            raise OSError(f"not a regular file: {path}")
        if inside is not None and not real.is_relative_to(inside.resolve()):
            raise OSError(f"outside of {inside}: {path}")
        data = bytearray()
        while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
            data += piece
        return bytes(data)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _workspace_of(directory: Path) -> Path | None:
    # a workspace is untrusted: a link in it must not put another file of this machine into a prompt
    return directory.parents[1] if directory.parts[-2:] == WORKSPACE_AGENTS.parts else None


def _read(slug: str, path: Path, *, inside: Path | None) -> Agent:
    try:
        data = read_bounded(path, _MAX_FILE, inside=inside)
        if len(data) > _MAX_FILE:
            raise OSError(f"larger than {_MAX_FILE} bytes: {path}")
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("agent", f"{path} cannot be read: {error}") from error
    fields, template = _split(path, text)
    if not template.strip():
        raise RequestError("agent", f"{path}: the system prompt is empty")
    check = _Check(path, fields)
    return Agent(
        slug=slug,
        name=check.text("name") or slug,
        template=template.strip() + "\n",
        path=path,
        description=check.text("description") or "",
        model=check.model(),
        tools=check.names("tools"),
        max_turns=check.count("maxTurns"),
        max_tokens=check.count("maxTokens"),
        temperature=check.temperature(),
    )


def _split(path: Path, text: str) -> tuple[dict[str, Any], str]:
    if not text.startswith("---\n"):
        return {}, text
    head, found, body = f"{text[3:]}\n".partition("\n---\n")
    if not found:
        raise RequestError("agent", f"{path}: the front matter has no closing `---` line")
    return front_matter(path, head), body


def front_matter(path: Path, head: str) -> dict[str, Any]:
    """The fields of a front matter. Flat YAML is read here; anything richer costs the import of a parser."""
    fields = _flat(head)
    if fields is None:
        import yaml

        try:
            fields = yaml.load(head, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise RequestError("agent", f"{path}: the front matter is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise RequestError("agent", f"{path}: the front matter must be `name: value` lines")
    return {str(key): value for key, value in fields.items()}


def _flat(head: str) -> dict[str, Any] | None:
    # YAML of the plainest kind, or None: importing a parser takes a fifth of the time to the first event
    fields: dict[str, Any] = {}
    key = ""
    for line in head.split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        if item := _ITEM.fullmatch(line):
            if not key or not isinstance(fields[key] or [], list):
                return None
            value = _scalar(item[1])
            if not isinstance(value, str):
                return None
            fields[key] = [*(fields[key] or []), value]
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[1] in fields:
            return None
        key = match[1]
        value = _value((match[2] or "").strip())
        if value is ...:
            return None
        fields[key] = value
    return fields


def _value(text: str) -> Any:
    if not text:
        return None
    if text.startswith("[") and text.endswith("]"):
        items = [_scalar(item.strip()) for item in text[1:-1].split(",")] if text[1:-1].strip() else []
        return items if all(isinstance(item, str) for item in items) else ...
    return _scalar(text)


def _scalar(text: str) -> Any:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and not re.search(r"[\\'\"]", text[1:-1]):
        return text[1:-1]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    odd = ": " in text or text.endswith(":") or text.lower() in _WORDS or text[:1].isdigit()
    return text if _PLAIN.fullmatch(text) and not odd else ...


class _Check:
    # a front matter's values, checked; every complaint names the file and the field

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self._path = path
        self._fields = fields

    def _wrong(self, field: str, expected: str) -> RequestError:
        return RequestError("agent", f"{self._path}: `{field}`: {expected}, not {self._fields[field]!r:.80}")

    def text(self, field: str) -> str | None:
        value = self._fields.get(field)
        if value is not None and not isinstance(value, str):
            raise self._wrong(field, "text is expected")
        return value

    def names(self, field: str) -> tuple[str, ...] | None:
        value = self._fields.get(field)
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
            raise self._wrong(field, "a list of names is expected")
        return tuple(value)

    def model(self) -> str | tuple[str, ...] | None:
        value = self._fields.get("model")
        return self.names("model") if isinstance(value, list) else self.text("model")

    def count(self, field: str) -> int | None:
        value = self._fields.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise self._wrong(field, "a whole number of at least 1 is expected")
        return value

    def temperature(self) -> float | None:
        value = self._fields.get("temperature")
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 2:
            raise self._wrong("temperature", "a number from 0 to 2 is expected")
        return float(value)
