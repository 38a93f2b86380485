"""The response to a model request, from whichever client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from agent_runtime.errors import ProviderError


class HttpResponse(Protocol):
    """A response whose body has not been read. That of httpx2 is one."""

    @property
    def status_code(self) -> int:
        """The status."""
        ...

    @property
    def reason_phrase(self) -> str:
        """The words behind the status; may be empty."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, decompressed. Raises an exception of the client."""
        ...

    async def aclose(self) -> None:
        """End the response. Its connection is used again if the body was read to its end, and closed otherwise."""
        ...


class HttpClient(Protocol):
    """The connections to one endpoint."""

    async def post(self, content: bytes, headers: Mapping[str, str]) -> HttpResponse:
        """Send a request. Raises an exception of the client, and ProviderError for a redirect to another origin."""
        ...

    def error(self, error: Exception) -> ProviderError | None:
        """Return the ProviderError for an exception of this client; None for other exceptions."""
        ...

    async def aclose(self) -> None:
        """Close all connections; a response that is being read fails."""
        ...
