"""Addresses of endpoints, without the paths that belong to their formats."""

from __future__ import annotations

from dataclasses import field
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from agent_runtime.lazy import dataclass, lazy_pattern
from agent_runtime.protocol.messages import WireFormat

# the paths that belong to a format, the most specific first
_SUFFIXES: tuple[tuple[str, WireFormat], ...] = (
    ("/chat/completions", "openai-chat"),
    ("/responses", "openai-responses"),
    ("/v1/messages", "anthropic"),
    ("/messages", "anthropic"),
)
_AZURE = lazy_pattern(r"\.(openai\.azure|cognitiveservices\.azure|services\.ai\.azure)\.(com|us|cn)$")
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
    if is_azure(parts.hostname or "") and path in ("", "/openai"):
        path = "/openai/v1"
    elif "/openai/deployments/" in f"{path}/":
        query.setdefault("api-version", _AZURE_VERSION)
    return Address(urlunsplit((parts.scheme, parts.netloc, path, "", "")), query, suffix)


def host_of(url: str | None) -> str:
    """The host of an address in lower case; empty when it has none."""
    return (urlsplit(url or "").hostname or "").lower()


def is_azure(host: str) -> bool:
    """Return whether the host, in lower case, belongs to Azure's model services."""
    return bool(_AZURE.search(host))


def without_userinfo(url: str) -> str:
    """Return a URL without user, password, query, fragment, and slashes at its end."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
