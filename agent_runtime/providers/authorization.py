"""Authorizes requests by the credentials of a cloud, which expire and are found and renewed by blocking calls."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

import anyio
import anyio.to_thread

from agent_runtime.agent.limits import CONNECT_SECONDS
from agent_runtime.errors import ProviderError
from agent_runtime.providers.endpoints import Endpoint

_MODULES = {"aws": "aws_credentials", "azure": "azure_credentials", "google": "google_credentials"}
_LIBRARIES = {  # and their extras
    "aws": ("botocore", "bedrock"),
    "azure": ("azure-identity", "azure"),
    "google": ("google-auth", "vertex"),
}


class Credentials(Protocol):
    """The credentials of a cloud. All methods may block, and are called in threads."""

    @property
    def project(self) -> str:
        """The project that the credentials belong to; empty when they say none. Raises ProviderError."""
        ...

    def headers(self, url: str, content: bytes) -> dict[str, str]:
        """Return the headers that authorize a request, names in lower case. Raises ProviderError."""
        ...

    def secrets(self) -> Sequence[str]:
        """Return the secrets that are in use."""
        ...

    def are_refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether a response says that other credentials may be accepted. Headers: names in lower case."""
        ...

    def forget(self) -> None:
        """Find the credentials again at the next request."""
        ...


def credentials_of(endpoint: Endpoint) -> Credentials | None:
    """Return the credentials of the endpoint's cloud; None where it has a key or a header of its own, or needs none.

    Raises ProviderError when the library of the cloud is not installed.
    """
    cloud = endpoint.provider_row.credentials
    if endpoint.api_key or not cloud or "authorization" in endpoint.headers:
        return None
    try:
        module = importlib.import_module(f"agent_runtime.providers.{_MODULES[cloud]}")
    except ImportError as error:
        library, extra = _LIBRARIES[cloud]
        raise ProviderError(
            "authentication_error",
            f"no API key: {endpoint.key_variable} is not set, and the credentials of the cloud need {library} "
            f"({error}); install agent-runtime[{extra}], or set {endpoint.key_variable}",
            retryable=False,
        ) from error
    return cast("Credentials", module.credentials(endpoint))


class Authorization:
    """Adds the headers of credentials to requests.

    Args:
        credentials: of the cloud.
        address: the base URL of the endpoint, for messages.
        report: is called with the secrets that are in use, whenever they have changed.
    """

    def __init__(
        self, credentials: Credentials, address: str, report: Callable[[Sequence[str]], None]
    ) -> None:
        self._credentials, self._address, self._report = credentials, address, report
        self._reported: Sequence[str] = ()

    async def headers(self, url: str, content: bytes) -> dict[str, str]:
        """Return the headers for a request. Raises ProviderError."""
        with anyio.move_on_after(CONNECT_SECONDS):
            headers, secrets = await anyio.to_thread.run_sync(
                self._find, url, content, abandon_on_cancel=True
            )
            if secrets != self._reported:
                self._reported = secrets
                self._report(secrets)
            return headers
        message = f"the credentials for {self._address} were not found within {CONNECT_SECONDS:g} s"
        raise ProviderError("provider_timeout", message, retryable=True)

    def renews(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether a refused request may be accepted after the credentials have been found again."""
        if not self._credentials.are_refused(status, headers):
            return False
        self._credentials.forget()
        return True

    def _find(self, url: str, content: bytes) -> tuple[dict[str, str], Sequence[str]]:
        headers = self._credentials.headers(url, content)
        return headers, self._credentials.secrets()
