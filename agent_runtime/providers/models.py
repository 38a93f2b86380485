"""Finds the row of the table of models for a name."""

from __future__ import annotations

import re
from dataclasses import replace

from agent_runtime.lazy import lazy_pattern
from agent_runtime.providers.catalog import ModelRow
from agent_runtime.providers.model_table import MODELS, UNKNOWN

_VENDOR = lazy_pattern(
    r"^(?:(?:us|eu|apac|jp|au|global|us-gov)\.)?"  # the regions of Bedrock's inference profiles
    r"(?:anthropic|openai|meta|mistral|google|amazon|deepseek|qwen|moonshotai|moonshot|zai|minimax|xai)\."
)
_PREFIX = lazy_pattern(r"^(?:meta|zai|labs)-(?=[a-z])")
_DATE = lazy_pattern(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d)(?![\d])|-latest$|-preview$")
_SEES = lazy_pattern(r"(?:^|-)(?:\d*vl|vision|omni|multimodal|pixtral|\d+v)(?:-|$)")


def find_model(name: str) -> ModelRow:
    """Return the row for the name of a model; UNKNOWN when no row fits.

    The row whose pattern has the most in common with the name's parts wins. Vendors before the name (`openai/`,
    `us.anthropic.`) and dates behind it do not count; `.`, `:` and `_` separate parts as `-` does.
    """
    written = plain_name(name)
    undated = _DATE.sub("", written)
    found = max((*_matches(written), *_matches(undated)), key=_length, default=UNKNOWN)
    if not found.vision and _SEES.search(_parted(undated)):
        return replace(found, vision=True)
    return found


def plain_name(name: str) -> str:
    """The name in lower case, without the vendors that gateways write before it."""
    last = name.strip().lower().rpartition("/")[2]
    return _PREFIX.sub("", _VENDOR.sub("", last))


def _parted(name: str) -> str:
    name = re.sub(r"(?<=\d)p(?=\d)", "-", name)  # Fireworks: glm-5p1
    name = re.sub(r"^(llama)(?=\d)", r"\1-", name)  # Ollama: llama3.2
    return re.sub(r"[.:_@ ]", "-", name)


def _matches(name: str) -> list[ModelRow]:
    parts = _parted(name).split("-")
    return [row for row in MODELS if _fits(row.pattern.split("-"), parts)]


def _fits(pattern: list[str], parts: list[str]) -> bool:
    if len(pattern) > len(parts):
        return False
    *head, last = pattern
    if parts[: len(head)] != head:
        return False
    part = parts[len(head)]
    return part.startswith(last[:-1]) if last.endswith("*") else part == last


def _length(row: ModelRow) -> int:
    return len(row.pattern.rstrip("*"))
