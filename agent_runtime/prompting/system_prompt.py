"""The system prompt: an agent's template, rendered with the facts of the run. jinja2 is imported when needed.

Templates may come from an untrusted workspace: they are rendered in jinja2's sandbox, with plain data and bounded
output. The contents of `AGENTS.md`, `params` and `context` are inserted as data and are never rendered themselves.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.errors import RequestError
from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.prompting.agent_definitions import Agent
from agent_runtime.prompting.plain_template import NotPlain, as_json, render_plain
from agent_runtime.prompting.skills import Skill
from agent_runtime.protocol.messages import clean_text
from agent_runtime.system.safe_open import read_bounded

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

INSTRUCTION_FILES = ("AGENTS.md", "CLAUDE.md")
_MAX_INSTRUCTIONS = 32 << 10  # bytes of each of these that reach the model
_MAX_PROMPT = 512 << 10  # characters of a rendered prompt
_MAX_REPEAT = 1 << 20  # the largest text or number that `*` may make in a template
_BRACES = lazy_pattern(r"\{\{-?\s*([A-Za-z_][\w.]*)|\{%-?\s*\w+\s+(?:\w+\s+in\s+)?([A-Za-z_][\w.]*)")
_SECTIONS = Path(__file__).parents[1] / "prompts" / "sections"  # the files for `{% include %}`


@dataclass(frozen=True)
class Instructions:
    """The workspace's instructions for agents: one of `INSTRUCTION_FILES`, truncated at 32 KiB."""

    name: str
    text: str


@dataclass(frozen=True)
class Facts:
    """What templates can refer to. `mounts` holds `{workspaceId, path}` objects; `date` is `YYYY-MM-DD`."""

    workspace: Path
    model: str
    date: str
    tools: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    mounts: Sequence[Mapping[str, Any]] = ()
    platform: str = ""
    git_branch: str | None = None
    instructions: Sequence[Instructions] = ()
    skills: Sequence[Skill] = ()

    @classmethod
    def gather(cls, workspace: Path, **known: Any) -> Facts:
        """Facts of the machine and the workspace, and those that the caller has `known`. Blocking."""
        return cls(
            workspace=workspace,
            platform=_platform(),
            git_branch=_git_branch(workspace),
            instructions=_instructions(workspace),
            **known,
        )

    def variables(self, agent: Agent) -> dict[str, Any]:
        """The variables of a template: plain data, without objects of this program."""
        return {
            "agent": {"slug": agent.slug, "name": agent.name, "description": agent.description},
            "workspace": str(self.workspace),
            "platform": self.platform,
            "date": self.date,
            "model": self.model,
            "tools": list(self.tools),
            "params": dict(self.params),
            "context": dict(self.context),
            "mounts": [dict(mount) for mount in self.mounts],
            "git": {"branch": self.git_branch} if self.git_branch else None,
            "skills": [
                {"name": s.name, "description": s.description, "path": str(s.path)} for s in self.skills
            ],
            "instructions": [{"name": i.name, "text": i.text} for i in self.instructions],
        }


def render(agent: Agent, facts: Facts, system_prompt: str | None = None) -> str:
    """The system prompt of a run.

    Args:
        agent: the definition; its template is rendered unless `system_prompt` is given.
        facts: the variables of the template.
        system_prompt: the request's own. It is a template when it refers to one of the variables or sections
            (so `{{ params.customer }}` works); otherwise it is used verbatim, braces included.

    Mounts and skills are always listed: a section about them is appended where the template does not mention them.

    Raises:
        RequestError: the template has an error, or refers to something that is not defined.
    """
    variables = facts.variables(agent)
    if system_prompt is None:
        name, where, source = "agent", f"the prompt of agent {agent.slug!r} ({agent.path})", agent.template
    else:
        name, where, source = "systemPrompt", "it", system_prompt
    try:
        text = source
        if system_prompt is None or _is_template(source, variables.keys()):
            text = _rendered(source, variables)
        if any(str(mount.get("path")) not in text for mount in facts.mounts):
            text = text.rstrip() + "\n\n" + _rendered(_section("mounts.md"), variables)
        if any(str(skill.path) not in text for skill in facts.skills):
            text = text.rstrip() + "\n\n" + _rendered(_section("skills.md"), variables)
    except Exception as error:  # a template can raise anything
        raise RequestError(name, f"{where} {_reason(error)}") from error
    return clean_text(text).strip() + "\n"


def _reason(error: Exception) -> str:
    """Return what is wrong with a template that could not be rendered."""
    from jinja2 import TemplateSyntaxError, UndefinedError

    if isinstance(error, UndefinedError):
        return f"refers to a value that was not given: {error.message}"
    if isinstance(error, TemplateSyntaxError):
        return f"has a template syntax error in line {error.lineno}: {error.message}"
    return f"cannot be rendered: {type(error).__name__}: {error}"


def _rendered(source: str, variables: dict[str, Any]) -> str:
    """Render a template. Raises exceptions of jinja2, and what a template can raise."""
    try:
        text = render_plain(source, variables, _section)
    except NotPlain:
        return _bounded(_environment().from_string(source), variables)
    return text if len(text) <= _MAX_PROMPT else _bounded(_environment().from_string(source), variables)


def _section(name: str) -> str:
    """Return the source of a section. Raises NotPlain when there is none of this name: jinja2 says so."""
    try:
        return (_SECTIONS / name).read_text("utf-8")
    except OSError:
        raise NotPlain from None


def literal_variables(system_prompt: str, agent: Agent, facts: Facts) -> list[str]:
    """Return the names in `{{ ... }}` and `{% ... %}` of a request's own system prompt that is used verbatim: none of
    them is a variable, or the template has a syntax error. Empty for a text without such braces.
    """
    if _is_template(system_prompt, facts.variables(agent).keys()):
        return []
    return list(dict.fromkeys(one or two for one, two in _BRACES.findall(system_prompt)))


def _is_template(source: str, variables: Collection[str]) -> bool:
    if "{{" not in source and "{%" not in source:
        return False
    from jinja2 import TemplateSyntaxError, meta

    try:
        tree = _environment().parse(source)
    except TemplateSyntaxError:
        return False
    used = meta.find_undeclared_variables(tree) & set(variables)
    return bool(used) or any(meta.find_referenced_templates(tree))


def _environment() -> SandboxedEnvironment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Bounded(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sizes = [len(x) if isinstance(x, str | list | tuple) else abs(x) for x in (left, right)]
            if operator == "**" or sizes[0] * sizes[1] > _MAX_REPEAT:
                raise OverflowError(f"the result of `{operator}` with {sizes[0]} and {sizes[1]} is too large")
            return super().call_binop(context, operator, left, right)

    class Absent(StrictUndefined):
        """A value that was not given: it can be tested (`{% if params.x %}`), but not be printed."""

        def __bool__(self) -> bool:  # type: ignore[override]  # here it is always an error
            return False

    environment = Bounded(
        loader=FileSystemLoader(_SECTIONS), undefined=Absent, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["json"] = as_json
    return environment


def _bounded(template: Template, variables: dict[str, Any]) -> str:
    text = ""
    for piece in template.generate(variables):
        text += piece
        if len(text) > _MAX_PROMPT:
            raise OverflowError(f"more than {_MAX_PROMPT} characters")
    return text


def _platform() -> str:
    system = os.uname()
    try:
        lines = read_bounded(Path("/etc/os-release"), 4096).decode("utf-8", "replace").splitlines()
        pretty = [line.split("=", 1)[1].strip("\"'") for line in lines if line.startswith("PRETTY_NAME=")]
    except OSError:
        pretty = []
    return ", ".join([*pretty[:1], f"{system.sysname} {system.release} {system.machine}"])


def _git_branch(workspace: Path) -> str | None:
    # from the file, without running git: the workspace's configuration can make git run any program
    try:
        head = read_bounded(workspace / ".git" / "HEAD", 512, inside=workspace).decode("utf-8", "replace")
    except OSError:
        return None
    return head.strip().removeprefix("ref: refs/heads/") or None


def _instructions(workspace: Path) -> list[Instructions]:
    found: list[Instructions] = []
    for name in INSTRUCTION_FILES:
        try:
            data = read_bounded(workspace / name, _MAX_INSTRUCTIONS, inside=workspace)
        except OSError:
            continue
        text = data[:_MAX_INSTRUCTIONS].decode("utf-8", "replace").strip()
        if len(data) > _MAX_INSTRUCTIONS:
            text += f"\n[cut here; the whole text is in {workspace / name}]"
        if text and all(text != other.text for other in found):  # one is often a copy of the other
            found.append(Instructions(name, text))
    return found
