"""Tokens of Entra ID, by azure-identity. Imported where there is neither a key nor a token in the environment."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.providers.endpoints import Endpoint

_FOUNDRY, _OPENAI = "https://ai.azure.com/.default", "https://cognitiveservices.azure.com/.default"
_PASSING = (ServiceRequestError, ServiceResponseError)


def credentials(endpoint: Endpoint) -> AzureCredentials:
    """Return the credentials of a service principal, a workload, the machine, or a login of Azure's tools."""
    return AzureCredentials(endpoint)


class AzureCredentials:
    """See authorization.Credentials. azure-identity keeps a token, and renews it before it expires."""

    project = ""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._scope = _FOUNDRY if endpoint.format == "anthropic" else _OPENAI
        self._found: TokenCredential | None = None
        self._token = ""
        self._lock = threading.Lock()

    def headers(self, url: str, content: bytes) -> dict[str, str]:
        """Return the token. Raises ProviderError."""
        with self._lock:
            try:
                self._found = self._found or _credential(self._endpoint.credentials)
                self._token = self._found.get_token(self._scope).token
            except (AzureError, OSError, ValueError) as error:
                raise self._failed(error) from error
        return {"authorization": f"Bearer {self._token}"}

    def secrets(self) -> Sequence[str]:
        """Return the token."""
        return [self._token] if self._token else []

    def are_refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the token is refused."""
        return status == 401

    def forget(self) -> None:
        """See authorization.Credentials."""
        self._found = None

    def _failed(self, error: Exception) -> ProviderError:
        is_passing = isinstance(error, _PASSING)
        code: ErrorCode = "provider_error" if is_passing else "authentication_error"
        message = f"{self._endpoint.key_variable} is not set, and no token of Entra ID was given: {error}"
        return ProviderError(code, message, retryable=is_passing)


def _credential(secrets: Mapping[str, str]) -> TokenCredential:
    """The credential; `secrets`: variables that were removed from the environment of this process."""
    secret = secrets.get("AZURE_CLIENT_SECRET")
    tenant, client = os.environ.get("AZURE_TENANT_ID"), os.environ.get("AZURE_CLIENT_ID")
    if secret and tenant and client:
        return ClientSecretCredential(tenant, client, secret)
    return DefaultAzureCredential()
