"""The checks of `doctor` about providers: API keys, credentials of clouds, and base URLs by a real request."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from agent_runtime.cli.finding import Finding
from agent_runtime.errors import ProviderError, RequestError
from agent_runtime.output.masking import mask_url
from agent_runtime.providers.authorization import credentials_of
from agent_runtime.providers.endpoint_checks import check_address
from agent_runtime.providers.endpoints import Endpoint, resolve
from agent_runtime.providers.provider_table import PROVIDERS
from agent_runtime.providers.provider_variables import base_variable, key_variables
from agent_runtime.providers.tls import trusted
from agent_runtime.version import VERSION

_SECONDS = 5.0  # for one request, the handshake included
_CREDENTIALS_SECONDS = 20.0  # a machine outside of clouds is recognized by servers that do not answer
_OLDEST = 1_767_225_600  # 2026-01-01: with an earlier clock, current certificates are not valid yet


def keys(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check that there is a key for the model that a run would use."""
    present = sorted(name for name in key_variables() if environ.get(name) or environ.get(f"{name}_FD"))
    fact = f"set: {', '.join(present)}" if present else "none of the providers' key variables is set"
    advice = "export ANTHROPIC_API_KEY or OPENAI_API_KEY, or give `model.apiKey` in the request"
    if not (model := environ.get("AGENT_RUNTIME_MODEL")):
        yield Finding("keys", bool(present), True, fact, advice)
        return
    try:
        endpoint = resolve(model, environ)
        check_address(endpoint)
    except RequestError as error:
        yield Finding("model", False, True, f"AGENT_RUNTIME_MODEL is {model}", error.problem)
        return
    key = endpoint.key_variable
    if endpoint.provider_row.credentials and not (endpoint.api_key or environ.get(f"{key}_FD")):
        problem = _missing_credentials(endpoint)
        advice = (
            f"export {key}, or give credentials (docs/clouds.md): {model} (AGENT_RUNTIME_MODEL) needs them"
        )
        yield Finding("credentials", not problem, True, f"of {model}: {problem or 'found'}", advice)
        return
    enough = not endpoint.needs_key or bool(endpoint.api_key or environ.get(f"{key}_FD"))
    yield Finding("keys", enough, True, fact, f"export {key}: {model} (AGENT_RUNTIME_MODEL) needs it")


def _missing_credentials(endpoint: Endpoint) -> str:
    """Return why the credentials of a cloud cannot authorize requests; "" when they can."""
    problems: list[str] = []
    thread = threading.Thread(target=lambda: problems.append(_problem(endpoint)), daemon=True)
    thread.start()
    thread.join(_CREDENTIALS_SECONDS)
    return problems[0] if problems else f"not found within {_CREDENTIALS_SECONDS:g} s"


def _problem(endpoint: Endpoint) -> str:
    try:
        credentials = credentials_of(endpoint)
        if credentials is None:
            return ""
        credentials.headers(endpoint.base_url, b"")
        needs_project = endpoint.provider_row.platform == "vertex" and not endpoint.project
        if needs_project and not credentials.project:
            return "ANTHROPIC_VERTEX_PROJECT_ID is not set, and the credentials name no project"
    except ProviderError as error:
        return error.message
    return ""


def base_urls(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Check that an HTTP server answers at each base URL that is set."""
    for name in sorted({base_variable(provider) for provider in PROVIDERS}):
        if (value := environ.get(name)) is None:
            continue
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname:
            advice = "give a URL that begins with http:// or https://, or unset it"
            yield Finding(name, False, True, mask_url(value), advice)
            continue
        problem = unreachable(value)
        fact = f"{mask_url(value)}: {problem or 'answers'}"
        advice = (
            "start the server, correct the URL, or unset it (HTTPS_PROXY and SSL_CERT_FILE are respected)"
        )
        yield Finding(name, not problem, True, fact, advice)


def unreachable(url: str) -> str:
    """Return why no HTTP response is received from the URL; "" when a server answers, with any status."""
    request = urllib.request.Request(url, headers={"User-Agent": f"agent-runtime/{VERSION}"})
    try:
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=trusted()))
        opener.open(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as answer:
        answer.close()
        return ""
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLError):
            return f"the TLS handshake fails ({reason.reason or reason})"
        return f"no connection ({getattr(reason, 'strerror', None) or reason})"
    except (OSError, ValueError) as error:
        return f"no connection ({error})"
    except Exception as error:  # exceptions of http.client for responses that are not HTTP
        return f"the server does not speak HTTP ({type(error).__name__})"
    return ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: a redirect is an answer."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def clock() -> Finding:
    """Check that the clock is not so far behind that certificates are not valid yet."""
    now = time.time()
    text = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    return Finding(
        "clock", now > _OLDEST, False, text, "set the clock: certificates seem not to be valid yet"
    )
