"""Access tokens of Google Cloud, by google-auth. Imported where there is no access token in the environment.

The application default credentials are used: the file that GOOGLE_APPLICATION_CREDENTIALS names, the login of gcloud,
or the metadata server.
"""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import Any

import google.auth
from google.auth import transport
from google.auth.exceptions import GoogleAuthError, TransportError

from agent_runtime.agent.limits import CONNECT_SECONDS
from agent_runtime.errors import ErrorCode, ProviderError
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.tls import trusted

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# the last ones for files that do not have what they should
_ERRORS = (GoogleAuthError, OSError, ValueError, AttributeError, KeyError, TypeError)
_SECRETS = ("private_key", "refresh_token", "client_secret")  # fields of files with credentials


def credentials(endpoint: Endpoint) -> GoogleCredentials:
    """Return the application default credentials."""
    return GoogleCredentials(endpoint)


class GoogleCredentials:
    """See authorization.Credentials. An access token is renewed some minutes before it expires."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._request = _Request()
        self._found: Any = None
        self._project = ""
        self._lock = threading.Lock()

    @property
    def project(self) -> str:
        """The project of the credentials; empty when they say none. Raises ProviderError."""
        with self._lock:
            self._load()
        return self._project

    def headers(self, url: str, content: bytes) -> dict[str, str]:
        """Return the access token. Raises ProviderError."""
        with self._lock:
            found = self._load()
            if not found.valid:
                try:
                    found.refresh(self._request)
                except _ERRORS as error:
                    raise _failed("no access token of Google Cloud was given", error) from error
            return {"authorization": f"Bearer {found.token}"}

    def secrets(self) -> Sequence[str]:
        """Return the access token, and the secrets of the file with the credentials."""
        token = getattr(self._found, "token", None)
        return [*([token] if token else []), *_secrets_in(_file())]

    def are_refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether the token is refused."""
        return status == 401

    def forget(self) -> None:
        """See authorization.Credentials."""
        self._found = None

    def _load(self) -> Any:
        if self._found is None:
            try:
                found, project = google.auth.default(scopes=[_SCOPE], request=self._request)
            except _ERRORS as error:
                where = f" in {_file()}" if _file().exists() else ""
                what = f"{self._endpoint.key_variable} is not set, and Google Cloud has no credentials{where}"
                raise _failed(what, error) from error
            self._found, self._project = found, project or ""
        return self._found


class _Request(transport.Request):
    """Requests of google-auth, with the proxies and certificates of model requests.

    Addresses of plain http are those of metadata servers, which no proxy can reach.
    """

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _Response:
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(url, data, dict(headers or {}), method=method)
        direct = urllib.request.ProxyHandler({})
        handler = urllib.request.HTTPSHandler(context=trusted()) if url.startswith("https:") else direct
        try:
            opener = urllib.request.build_opener(handler)
            with opener.open(request, timeout=timeout or CONNECT_SECONDS) as response:
                return _Response(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _Response(error.code, error.headers, error.read())
        except (OSError, ValueError) as error:
            raise TransportError(error) from error  # type: ignore[no-untyped-call]


class _Response(transport.Response):
    def __init__(self, status: int, headers: Message, data: bytes) -> None:
        self._status, self._headers, self._data = status, headers, data

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Message:  # whose names have no case, as google-auth requires
        return self._headers

    @property
    def data(self) -> bytes:
        return self._data


def _file() -> Path:
    """The file with the application default credentials, which need not exist."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    folder = os.environ.get("CLOUDSDK_CONFIG") or Path(os.environ.get("HOME") or "/", ".config", "gcloud")
    return Path(named) if named else Path(folder, "application_default_credentials.json")


def _secrets_in(file: Path) -> list[str]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return []
    values = [content.get(name) for name in _SECRETS] if isinstance(content, dict) else []
    return [value for value in values if isinstance(value, str) and value]


def _failed(what: str, error: Exception) -> ProviderError:
    retryable = isinstance(error, TransportError) or bool(getattr(error, "retryable", False))
    code: ErrorCode = "provider_error" if retryable else "authentication_error"
    return ProviderError(code, f"{what}: {error.args[0] if error.args else error}", retryable=retryable)
