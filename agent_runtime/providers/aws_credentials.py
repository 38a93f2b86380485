"""Signs requests with credentials of AWS (Signature Version 4), by botocore. Imported where there is no API key."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ContainerProvider, EnvProvider, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, MetadataRetrievalError
from botocore.session import Session

from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.providers.endpoints import Endpoint

_SERVICE = "bedrock"
_PASSING = (HTTPClientError, MetadataRetrievalError)
_ADDED = ("authorization", "x-amz-date", "x-amz-security-token")
_NOT_ALLOWED = "accessdenied"  # other credentials of the same account are refused too


def credentials(endpoint: Endpoint) -> AwsCredentials:
    """Return the credentials of the environment, of a profile, of the container or of the machine."""
    return AwsCredentials(endpoint)


class AwsCredentials:
    """See authorization.Credentials. botocore finds them, and renews those that expire before they do."""

    project = ""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._source: _Source | None = None
        self._frozen: ReadOnlyCredentials | None = None
        self._lock = threading.Lock()

    def headers(self, url: str, content: bytes) -> dict[str, str]:
        """Return the signature of a request, its time, and the session token. Raises ProviderError."""
        if not self._endpoint.region:
            message = "requests are signed for a region: set AWS_REGION to the region of the model"
            raise ProviderError("authentication_error", message, retryable=False)
        with self._lock:
            self._frozen = frozen = self._found()
        request = AWSRequest("POST", url, headers={"content-type": "application/json"}, data=content)
        SigV4Auth(frozen, _SERVICE, self._endpoint.region).add_auth(request)
        signed = {name.lower(): value for name, value in request.headers.items()}
        return {name: signed[name] for name in _ADDED if name in signed}

    def secrets(self) -> Sequence[str]:
        """Return the secret key and the session token."""
        frozen = self._frozen
        return [text for text in (frozen.secret_key, frozen.token) if text] if frozen else []

    def are_refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the credentials themselves are refused, not only an action that they do not permit."""
        return status in (401, 403) and _NOT_ALLOWED not in headers.get("x-amzn-errortype", "").lower()

    def forget(self) -> None:
        """See authorization.Credentials."""
        self._source = None

    def _found(self) -> ReadOnlyCredentials:
        try:
            self._source = self._source or _Source(self._endpoint.credentials)
            found = self._source.load()
        except _PASSING as error:
            raise _failed(error, retryable=True) from error
        except (BotoCoreError, ClientError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise _failed(error, retryable=False) from error
        if found is None:
            message = (
                f"no API key and no credentials of AWS were found: set {self._endpoint.key_variable}, AWS_PROFILE, "
                "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
            raise ProviderError("authentication_error", message, retryable=False)
        return found


class _Source:
    """The chain of botocore, which finds credentials once.

    Args:
        secrets: variables that were removed from the environment of this process.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        session = Session()
        file = os.environ.get("SSL_CERT_FILE")
        if file and not session.get_config_variable("ca_bundle"):
            session.set_config_variable("ca_bundle", file)
        environ = {**os.environ, **secrets}
        resolver = session.get_component("credential_provider")
        resolver.get_provider(EnvProvider.METHOD).environ = environ  # assumed roles may be based on it, too
        resolver.insert_before(ContainerProvider.METHOD, ContainerProvider(environ))
        self._resolver = resolver
        self._found = None

    def load(self) -> ReadOnlyCredentials | None:
        """Return credentials that are valid now. Raises exceptions of botocore, and what its providers raise."""
        if self._found is None:
            self._found = self._resolver.load_credentials()
        return self._found.get_frozen_credentials() if self._found else None


def _failed(error: Exception, *, retryable: bool) -> ProviderError:
    code: ErrorCode = "provider_error" if retryable else "authentication_error"
    return ProviderError(code, f"no credentials of AWS were found: {error}", retryable=retryable)
