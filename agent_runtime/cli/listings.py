"""`agent-runtime models`, `tools` and `agents`: list what a request can name."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent_runtime import tools
from agent_runtime.errors import ExitCode, RequestError
from agent_runtime.prompting.agent_definitions import agent_directories, find_agent, known_agents
from agent_runtime.protocol.messages import Usage
from agent_runtime.providers.catalog import ModelRow
from agent_runtime.providers.deployments import deployments
from agent_runtime.providers.model_table import MODELS
from agent_runtime.providers.models import find_model
from agent_runtime.providers.prices import PriceTable, read_own_prices
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.providers.provider_variables import base_variable
from agent_runtime.providers.published_prices import source

Row = dict[str, Any]

_MAKERS = {  # the first letters of models, and who sells them
    "claude-": "anthropic",
    "gpt-": "openai",
    "o": "openai",
    "codex-": "openai",
    "gemini-": "google",
    "grok-": "xai",
    "deepseek-": "deepseek",
    "mistral-": "mistral",
    "kimi-": "moonshot",
    "glm-": "zai",
}


def models_command(arguments: argparse.Namespace) -> int:
    """Print the known models with their prices, the deployments, and the providers with their key variables.

    Raises RequestError when the environment lists prices or deployments that are not valid.
    """
    prices = PriceTable(read_own_prices(os.environ))
    models: list[Row] = [
        {
            "name": row.pattern,
            "contextWindow": row.context_window,
            "maxOutput": row.max_output,
            "images": row.vision,
            "efforts": list(row.efforts),
            "exact": row.exact,
            "prices": _prices(prices, row),
        }
        for row in MODELS
    ]
    providers = [
        {
            "name": name,
            "format": provider.format,
            "keyVariable": provider.key_variable,
            "keySet": bool(os.environ.get(provider.key_variable)),
            "credentials": provider.credentials,
            "baseUrl": provider.base_url,
            "baseUrlVariable": base_variable(name),
        }
        for name, provider in PROVIDERS.items()
    ]
    named = [
        {"name": name, "model": model, "contextWindow": find_model(model).context_window}
        for name, model in deployments(os.environ).items()
    ]
    if arguments.json:
        return _print_json(
            {"models": models, "deployments": named, "providers": providers, "pricesFrom": source()}
        )
    _print_table(
        [row | (row["prices"] or {}) for row in models],
        ("name", "contextWindow", "maxOutput", "images", "input", "output", "cachedInput", "cacheWrite"),
    )
    print(f"\nPrices: US dollars for a million tokens, {source()}.")
    print()
    if named:
        _print_table(named, ("name", "model", "contextWindow"))
        print()
    _print_table(providers, ("name", "format", "keyVariable", "keySet", "credentials", "baseUrlVariable"))
    return ExitCode.COMPLETED


def _prices(table: PriceTable, row: ModelRow) -> dict[str, float | None] | None:
    """The prices of a model at the provider that made it; None if not known, or for a whole family only."""
    provider = next((name for prefix, name in _MAKERS.items() if row.pattern.startswith(prefix)), None)
    if provider is None:
        return None
    million = 1_000_000
    kinds = {
        "input": Usage(input_tokens=1),
        "output": Usage(output_tokens=1),
        "cachedInput": Usage(input_tokens=1, cached_input_tokens=1),
        "cacheWrite": Usage(input_tokens=1, cache_write_tokens=1),
    }
    found = {kind: table.cost(provider, row.pattern, "", usage) for kind, usage in kinds.items()}
    if found["input"] is None:
        return None
    return {kind: round(price * million, 6) for kind, price in found.items() if price is not None}


def tools_command(arguments: argparse.Namespace) -> int:
    """Print the tools, and the default tool families that contain them."""
    rows: list[Row] = []
    for name in tools.names():
        spec = tools.load(name).spec()
        sets = [family for family, names in tools.FAMILIES.items() if name in names]
        rows.append(
            {
                "name": name,
                "sets": sets,
                "hosted": spec.hosted,
                "description": spec.description,
                "parameters": spec.parameters,
            }
        )
    if arguments.json:
        return _print_json(rows)
    table = [
        row | {"description": row["description"].splitlines()[0], "sets": ", ".join(row["sets"])}
        for row in rows
    ]
    _print_table(table, ("name", "sets", "description"))
    return ExitCode.COMPLETED


def agents_command(arguments: argparse.Namespace) -> int:
    """Print the agent definitions of a workspace, in the order in which they are searched."""
    workspace = Path(arguments.workspace or os.environ.get("AGENT_RUNTIME_WORKSPACE") or ".").absolute()
    directories = agent_directories(workspace, Path(arguments.agents_dir) if arguments.agents_dir else None)
    rows: list[Row] = []
    for slug in known_agents(directories):
        try:
            agent = find_agent(slug, directories)
        except RequestError as error:
            rows.append({"slug": slug, "error": str(error)})
            continue
        rows.append(
            {
                "slug": slug,
                "name": agent.name,
                "description": agent.description,
                "model": agent.model,
                "tools": agent.tools,
                "path": str(agent.path),
            }
        )
    if arguments.json:
        return _print_json(rows)
    _print_table(
        [row | {"description": row.get("error") or row["description"]} for row in rows],
        ("slug", "description"),
    )
    return ExitCode.COMPLETED


def _print_json(value: object) -> int:
    print(json.dumps(value, indent=2, ensure_ascii=False))
    return ExitCode.COMPLETED


def _print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Print rows as a table. Each column is as wide as its longest cell; the last one is not padded."""
    cells = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    for line in cells:
        padded = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        print("  ".join([*padded, line[-1]]).rstrip())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
