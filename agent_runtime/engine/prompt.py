"""The system prompt of a run: its agent's template with the facts of the request and the workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from agent_runtime.engine.run_config import RunConfig
from agent_runtime.prompting.skills import Ignored, Skill, find_skills, skill_folders
from agent_runtime.prompting.system_prompt import Facts, literal_variables, render
from agent_runtime.protocol import events

# tools that can read a skill
READERS = frozenset(["bash", "exec_command", "read_file", "str_replace_based_edit_tool"])


def rendered_prompt(config: RunConfig, skills: Sequence[Skill]) -> str:
    """Render the system prompt. Reads files of the workspace; raises RequestError when the template is invalid."""
    return render(config.agent, _facts(config, skills), config.request.system_prompt)


def literal_notice(config: RunConfig) -> events.NoticeEvent | None:
    """Return the notice that the request's system prompt is used verbatim although it looks like a template."""
    prompt = config.request.system_prompt
    if prompt is None or "{" not in prompt:
        return None
    names = literal_variables(prompt, config.agent, _facts(config, ()))
    if not names:
        return None
    message = (
        f"systemPrompt is used as it is, with its braces: {', '.join(names[:10])} is not a variable of templates;"
        " values of the request are `params.NAME` and `context.NAME`"
    )
    return events.NoticeEvent(code="not_a_template", message=message, details={"names": names[:10]})


def _facts(config: RunConfig, skills: Sequence[Skill]) -> Facts:
    request = config.request
    return Facts.gather(
        config.workspace,
        model=config.endpoints[0].model,
        date=date.today().isoformat(),
        tools=config.tools,
        params=request.params or {},
        context=request.context or {},
        mounts=[mount.model_dump(by_alias=True) for mount in request.mounts],
        skills=skills,
    )


def skills_of(config: RunConfig, environ: Mapping[str, str]) -> tuple[list[Skill], list[Ignored]]:
    """Return the skills of a run, and those that are ignored, a wanted one that is missing included. Blocking."""
    wanted = config.request.skills
    if wanted is False or not READERS.intersection(config.tools):
        return [], []
    names = wanted if isinstance(wanted, list) else None
    folder = Path(config.request.skills_dir).absolute() if config.request.skills_dir else None
    found, ignored = find_skills(skill_folders(config.workspace, environ, folder), names)
    known = {skill.name for skill in found}
    missing = [
        Ignored(Path(name), "there is no skill of this name") for name in names or () if name not in known
    ]
    return found, [*ignored, *missing]


def ignored_notice(ignored: Ignored) -> events.NoticeEvent:
    """Return the notice about a skill that is ignored."""
    message = f"the skill {ignored.path} is ignored: {ignored.reason}"
    return events.NoticeEvent(code="skill_ignored", message=message, details={"path": str(ignored.path)})
