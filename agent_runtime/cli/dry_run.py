"""`agent-runtime run --dry-run`: shows the configuration of a run. No model is called, nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agent_runtime import tools
from agent_runtime.engine.prompt import rendered_prompt, skills_of
from agent_runtime.engine.run_config import RunConfig


def dry_run(config: RunConfig, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the resolved configuration, the rendered system prompt, and the tool descriptions for the model.

    Raises RequestError when the system prompt cannot be rendered.
    """
    request = config.request
    specs = [tools.load(name).spec() for name in config.tools]
    return {
        "agent": config.agent.slug,
        "models": [
            {
                "provider": endpoint.provider,
                "name": endpoint.model,
                "baseModel": endpoint.base_model or endpoint.model,
                "toolFamily": endpoint.tool_family,
                "format": endpoint.format,
                "baseUrl": endpoint.base_url,
                "keyVariable": endpoint.key_variable,
                "keySet": endpoint.api_key is not None,
                "credentials": "" if endpoint.api_key else endpoint.provider_row.credentials,
                "contextWindow": endpoint.context_window,
            }
            for endpoint in config.endpoints
        ],
        "workspace": str(config.workspace),
        "stateDir": str(config.state_dir),
        "limits": config.limits.as_event(),
        "temperature": config.temperature,
        "settings": request.config.model_dump(
            mode="json", by_alias=True, include={"effort", "thinking", "parallel_tools"}
        ),
        "mcpServers": [server.name for server in config.mcp_servers],  # they are not started
        "systemPrompt": rendered_prompt(config, skills_of(config, environ)[0]),
        "tools": [
            {
                "name": spec.name,
                "description": spec.description,
                "parameters": spec.parameters,
                "hosted": spec.hosted,
            }
            for spec in specs
        ],
    }


def as_text(plan: dict[str, Any]) -> str:
    """Format it for reading: settings, then the system prompt, then the tools."""
    settings = {name: value for name, value in plan.items() if name not in ("systemPrompt", "tools")}
    listed = "\n\n".join(f"## {tool['name']}\n\n{tool['description']}" for tool in plan["tools"])
    head = json.dumps(settings, indent=2, ensure_ascii=False)
    return f"{head}\n\n# System prompt\n\n{plan['systemPrompt']}\n\n# Tools\n\n{listed}\n"
