"""Endpoints as transcripts hold them. Older transcripts have the fields of both rows side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from agent_runtime.providers.catalog import NEVER, OMIT, ModelRow, Provider

_RENAMED = {"takes_temperature": "temperature"}
_OWN = frozenset({"provider", "model", "base_url", "api_key"})


def current_form(record: Any) -> Any:
    """The record of an endpoint in the form of `endpoints.Endpoint`. What is not one is returned as it is."""
    if not isinstance(record, Mapping) or "model_row" in record or "format" not in record:
        return record
    flat = {
        _RENAMED.get(name, name): value for name, value in record.items() if name not in ("family", *_OWN)
    }
    off = {"": OMIT, "-": NEVER}.get(str(flat.pop("thinking_off", "")))
    if off is None:
        flat["thinking_off"] = {"by": "value", "value": record["thinking_off"]}
    else:
        flat["thinking_off"] = {"by": off.by, "value": off.value}
    of_model = {field.name for field in fields(ModelRow)}
    of_provider = {field.name for field in fields(Provider)}
    return {name: value for name, value in record.items() if name in _OWN} | {
        "provider_row": {"base_url": record.get("base_url") or ""}
        | {name: value for name, value in flat.items() if name in of_provider},
        "model_row": {"pattern": ""} | {name: value for name, value in flat.items() if name in of_model},
    }
