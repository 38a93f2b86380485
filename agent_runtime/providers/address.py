"""Addresses of endpoints, without the paths that the SDKs append, and the header of the key for each host."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from agent_runtime.protocol.messages import WireFormat

# the paths that belong to a format, the most specific first
_SUFFIXES: tuple[tuple[str, WireFormat], ...] = (
    ("/chat/completions", "openai-chat"),
    ("/responses", "openai-responses"),
    ("/v1/messages", "anthropic"),
    ("/messages", "anthropic"),
)
_AZURE = re.compile(r"\.(openai\.azure|cognitiveservices\.azure|services\.ai\.azure)\.(com|us|cn)$")
_AZURE_VERSION = "2024-10-21"  # the last of the classic API's stable versions


@dataclass(frozen=True)
class Address:
    """Where requests go: `base_url` without a query, and what the query asks for.

    suffix: the format whose path the given address ended in; None when it ended in none.
    """

    base_url: str
    query: dict[str, str] = field(default_factory=dict)
    suffix: WireFormat | None = None


def parse_address(url: str) -> Address:
    """An address as a user writes it: with or without the path of a format, a query, and slashes at its end."""
    parts = urlsplit(url.strip())
    path, suffix = parts.path.rstrip("/"), None
    for end, format in _SUFFIXES:
        if path.endswith(end):
            path, suffix = path.removesuffix(end).rstrip("/"), format
            break
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if _AZURE.search(parts.hostname or "") and path in ("", "/openai"):
        path = "/openai/v1"
    elif "/openai/deployments/" in f"{path}/":
        query.setdefault("api-version", _AZURE_VERSION)
    return Address(urlunsplit((parts.scheme, parts.netloc, path, "", "")), query, suffix)


def host_of(url: str | None) -> str:
    """The host of an address in lower case; empty when it has none."""
    return (urlsplit(url or "").hostname or "").lower()


def auth_headers(
    base_url: str | None, query: dict[str, str], format: WireFormat, key: str
) -> dict[str, str | None]:
    """The headers that carry the key, beside or in place of the SDK's `Authorization: Bearer`.

    None stands for a header that must not be sent. Azure reads `api-key`, and takes `Authorization` for a token of
    Entra ID; servers that followed Anthropic's format read `x-api-key`.
    """
    host = host_of(base_url)
    if _AZURE.search(host):
        is_token = key.count(".") == 2 and key.startswith("eyJ")
        return {} if is_token else {"api-key": key, "Authorization": None}
    if format == "anthropic":
        return {} if host == "api.anthropic.com" else {"x-api-key": key}
    if "api-version" in query or "/openai/deployments/" in f"{base_url}/":
        return {"api-key": key}
    return {}
