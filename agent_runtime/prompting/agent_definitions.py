"""Agent definitions: finds one by its slug and reads its file. This runs before the first event.

A definition is `SLUG.md`: front matter between two `---` lines, then the system prompt as a template. It is looked for
in `--agents-dir`, in `<workspace>/.agent-runtime/agents` and among the built-in ones, in this order. `system_prompt`
renders it once the stream has started.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.prompting.front_matter import Check, split
from agent_runtime.system.safe_open import read_bounded

DEFAULT_AGENT = "code-assistant"
WORKSPACE_AGENTS = Path(".agent-runtime") / "agents"

_SLUG = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MAX_FILE = 1 << 20  # bytes of a definition


@dataclass(frozen=True)
class Agent:
    """A definition as it was found. `template` is not rendered. None: the request or the default decides."""

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
    mcp_servers: dict[str, Any] | None = None  # as in a request, not validated


def agent_directories(workspace: Path, agents_dir: Path | None = None) -> list[Path]:
    """Where definitions are looked for; the first one found is used."""
    builtin = Path(__file__).parents[1] / "prompts" / "agents"
    return [*([agents_dir] if agents_dir else []), workspace / WORKSPACE_AGENTS, builtin]


def find_agent(slug: str, directories: Sequence[Path]) -> Agent:
    """The agent of that slug.

    Raises:
        RequestError: for `agent`, when there is none of that name or its file cannot be used; the message
            names the file and the field of its front matter.
    """
    if not _SLUG.fullmatch(slug):
        raise RequestError("agent", f"expected a slug of letters, digits, `-` and `_`, got {slug[:80]!r}")
    for directory in directories:
        path = directory / f"{slug}.md"
        if os.path.lexists(path):
            return _read(slug, path, inside=_workspace_of(directory))
    known = ", ".join(known_agents(directories)) or "none"
    raise RequestError("agent", f"unknown agent {slug!r}; expected one of: {known}")


def known_agents(directories: Sequence[Path]) -> list[str]:
    """The slugs in these directories, sorted. A directory that cannot be read has none."""
    found: set[str] = set()
    for directory in directories:
        try:
            found.update(path.stem for path in directory.iterdir() if path.suffix == ".md")
        except OSError:
            continue
    return sorted(filter(_SLUG.fullmatch, found))


def _workspace_of(directory: Path) -> Path | None:
    # a workspace is untrusted: a link in it must not put another file of this machine into a prompt
    return directory.parents[1] if directory.parts[-2:] == WORKSPACE_AGENTS.parts else None


_FIELDS = {"name", "description", "model", "tools", "maxTurns", "maxTokens", "temperature", "mcpServers"}


def _read(slug: str, path: Path, *, inside: Path | None) -> Agent:
    try:
        data = read_bounded(path, _MAX_FILE, inside=inside)
        if len(data) > _MAX_FILE:
            raise OSError(f"larger than {_MAX_FILE} bytes: {path}")
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("agent", f"{path} cannot be read: {error}") from error
    fields, template = split(path, text)
    if not template.strip():
        raise RequestError("agent", f"{path}: the system prompt is empty")
    fields = {re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name): fields[name] for name in fields}
    if unknown := fields.keys() - _FIELDS:
        print(f"warning: {path}: unknown fields are ignored: {', '.join(sorted(unknown))}", file=sys.stderr)
    check = Check(path, fields)
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
        mcp_servers=check.object("mcpServers"),
    )
