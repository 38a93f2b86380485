"""Admission: API keys with their rate limits, and protection against requests of other sites in a browser."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from agent_runtime.errors import RequestError
from agent_runtime.server.errors import ApiError
from agent_runtime.server.request_counts import WINDOW, RequestCounts

TIERS = {"free": 60, "pro": 300, "enterprise": 1_000}  # requests a minute


@dataclass(frozen=True)
class ApiKey:
    """A key and the requests that it may make in a minute."""

    value: str
    limit: int

    @classmethod
    def parse(cls, text: str) -> ApiKey:
        """Parse `KEY` or `KEY:tier`. Raises RequestError."""
        value, _, tier = text.partition(":")
        if not value or (tier and tier not in TIERS):
            known = ", ".join(TIERS)
            raise RequestError("--api-key", f"expected KEY or KEY:tier with a tier of {known}")
        return cls(value, TIERS[tier or "enterprise"])


@dataclass(frozen=True)
class Gate:
    """Decides whether a request is admitted.

    Args:
        keys: the accepted keys; if there are none, every request from this machine is admitted.
        hosts: values of `Host` that are this server's own.
        counts: of the requests of each key.
    """

    keys: Sequence[ApiKey]
    hosts: frozenset[str]
    counts: RequestCounts

    async def admit(self, connection: HTTPConnection) -> dict[str, str]:
        """The headers with the limits of the caller. Raises ApiError (401, 403, 429)."""
        self._check_site(connection)
        if not self.keys:
            return {}
        key = self._key(connection)
        window = await asyncio.to_thread(self.counts.add, key.value, key.limit)
        # rounded up, so that a client that waits this long is admitted
        reset = min(max(1, math.ceil(window.started + WINDOW - time.time())), int(WINDOW))
        headers = {"X-RateLimit-Limit": str(key.limit), "X-RateLimit-Reset": str(reset)}
        if window.count > key.limit:
            limits = headers | {"X-RateLimit-Remaining": "0", "Retry-After": str(reset)}
            raise ApiError(
                429, "rate_limited", f"{key.limit} requests a minute; try again in {reset} s", headers=limits
            )
        return headers | {"X-RateLimit-Remaining": str(key.limit - window.count)}

    def _key(self, connection: HTTPConnection) -> ApiKey:
        scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else connection.headers.get("x-api-key", "")
        # every key is compared, each in constant time, so that the duration reveals nothing about the keys
        matching = [key for key in self.keys if hmac.compare_digest(key.value.encode(), given.encode())]
        if not matching:
            message = "expected a valid key as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            raise ApiError(401, "authentication_error", message, headers={"WWW-Authenticate": "Bearer"})
        return matching[0]

    def _check_site(self, connection: HTTPConnection) -> None:
        """Refuse requests that a page of another site sends: its Origin, or its Host (DNS rebinding), differs."""
        if self.keys:
            return  # another site would need the key
        host = connection.headers.get("host", "")
        origin = connection.headers.get("origin")
        if host not in self.hosts:
            raise ApiError(
                403, "permission_denied", f"expected this server's own address as Host, got {host!r}"
            )
        if origin is not None and _authority(origin) not in self.hosts:
            raise ApiError(403, "permission_denied", f"requests from {origin} are not accepted")


def _authority(origin: str) -> str:
    """The host and port of an Origin header; empty when it has none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # for example an unclosed bracket
        return ""
