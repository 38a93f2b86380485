"""The names of MCP tools as the model sees them: `mcp__server__tool`, at most 64 characters."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from hashlib import sha256

from agent_runtime.mcp.config import TOOL_PREFIX

LONGEST = 64  # the limit of all providers
_HASH = 8  # characters


def server_slugs(servers: Iterable[str]) -> dict[str, str]:
    """Return for each server its slug: its name in the names of its tools.

    A slug has no `__`, so that no two servers can have a tool of the same name. Where two names differ only in
    characters that providers do not accept, the second slug ends in a hash.
    """
    slugs: dict[str, str] = {}
    for server in servers:
        slug = re.sub(r"_{2,}", "_", _clean(server)).strip("_") or "server"
        slugs[server] = f"{slug}_{_hash(server)}" if slug in slugs.values() else slug
    return slugs


def tool_name(slug: str, tool: str, taken: Container[str]) -> str:
    """Return a name that providers accept and that is not taken.

    A name that is too long is cut and ends in a hash, and so does one that another tool has already (`a.b` and `a_b`).
    """
    full = f"{TOOL_PREFIX}{slug}__{_clean(tool)}"
    if len(full) <= LONGEST and full not in taken:
        return full
    number = 0
    while (name := f"{full[: LONGEST - _HASH - 1]}_{_hash(slug, tool, str(number))}") in taken:
        number += 1
    return name


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "_"


def _hash(*texts: str) -> str:
    return sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:_HASH]
