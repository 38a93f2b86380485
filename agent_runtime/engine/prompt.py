"""The system prompt of a run: its agent's template with the facts of the request and the workspace."""

from __future__ import annotations

from datetime import date

from agent_runtime.engine.run_config import RunConfig
from agent_runtime.prompting.system_prompt import Facts, render


def rendered_prompt(config: RunConfig) -> str:
    """Render the system prompt. Reads files of the workspace; raises RequestError when the template is invalid."""
    request = config.request
    facts = Facts.gather(
        config.workspace,
        model=config.endpoints[0].model,
        date=date.today().isoformat(),
        tools=config.tools,
        params=request.params or {},
        context=request.context or {},
        mounts=[mount.model_dump(by_alias=True) for mount in request.mounts],
    )
    return render(config.agent, facts, request.system_prompt)
