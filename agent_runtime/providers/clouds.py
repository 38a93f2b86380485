"""Where the models of the clouds are, and which variables hold their credentials: Bedrock, Vertex AI, Foundry, Azure.

This runs before the first event is written: nothing for HTTP is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent_runtime.lazy import dataclass
from agent_runtime.providers.address import Address, host_of, is_azure, parse_address
from agent_runtime.providers.catalog import Provider

# variables with credentials of a cloud: where they authorize model requests, no tool sees them
_SECRETS: Mapping[str, frozenset[str]] = {
    "azure": frozenset({"AZURE_CLIENT_SECRET"}),
    "aws": frozenset(
        {
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        }
    ),
}
# variables that name a file with such credentials
_FILES: Mapping[str, frozenset[str]] = {"google": frozenset({"GOOGLE_APPLICATION_CREDENTIALS"})}


@dataclass(frozen=True)
class Place:
    """Where the models of a cloud are.

    address: its URL is empty when the environment does not say where.
    region: empty where it has none.
    project: of Google Cloud; empty when the credentials have to say it.
    """

    address: Address
    region: str = ""
    project: str = ""


def place_of(provider: str, row: Provider, given: str, environ: Mapping[str, str]) -> Place:
    """Return where the models of a provider are.

    Args:
        provider: its name.
        row: its row of the catalog.
        given: the address that the environment gives; empty for none.
        environ: the environment.
    """
    if row.platform == "bedrock":
        return _bedrock(given, environ)
    if row.platform == "vertex":
        return _vertex(given, environ)
    if provider == "foundry":
        return Place(_foundry(given, environ.get("ANTHROPIC_FOUNDRY_RESOURCE", "").strip()))
    address = parse_address(given or row.base_url)
    if provider.startswith("azure") and address.base_url.count("/") == 2:  # a host alone
        return Place(Address(f"{address.base_url}/openai/v1", address.query))
    return Place(address)


def cloud_variables() -> frozenset[str]:
    """Return the variables whose values are credentials of any cloud."""
    return frozenset().union(*_SECRETS.values())


def secret_variables(row: Provider) -> frozenset[str]:
    """Return the variables whose values are credentials of the provider's cloud."""
    return _SECRETS.get(row.credentials, frozenset())


def file_variables(row: Provider) -> frozenset[str]:
    """Return the variables that name files with credentials of the provider's cloud."""
    return _FILES.get(row.credentials, frozenset())


def _bedrock(given: str, environ: Mapping[str, str]) -> Place:
    region = (environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "").strip()
    region = region or _profile_region(environ)
    url = given or (f"https://bedrock-runtime.{region}.amazonaws.com" if region else "")
    return Place(_without_version(parse_address(url)), region)


def _profile_region(environ: Mapping[str, str]) -> str:
    """Return the region of the profile in the configuration of AWS; empty when there is none."""
    from configparser import ConfigParser, Error  # noqa: PLC0415 -- takes 5 ms

    profile = environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE") or "default"
    path = environ.get("AWS_CONFIG_FILE") or Path(environ.get("HOME") or "/", ".aws", "config")
    config = ConfigParser(interpolation=None, strict=False)
    try:
        config.read(Path(path).expanduser(), "utf-8")
    except (Error, OSError, ValueError, RuntimeError):
        return ""
    section = profile if profile == "default" else f"profile {profile}"
    return config.get(section, "region", fallback="").strip()


def _vertex(given: str, environ: Mapping[str, str]) -> Place:
    region = environ.get("CLOUD_ML_REGION", "").strip()
    names = ("ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
    project = next((environ[name].strip() for name in names if environ.get(name)), "")
    if not given and region == "global":
        given = "https://aiplatform.googleapis.com/v1"
    elif not given and region in ("us", "eu"):
        given = f"https://aiplatform.{region}.rep.googleapis.com/v1"
    elif not given and region:
        given = f"https://{region}-aiplatform.googleapis.com/v1"
    return Place(parse_address(given), region, project)


def _foundry(given: str, resource: str) -> Address:
    if not given:
        return Address(f"https://{resource}.services.ai.azure.com/anthropic" if resource else "")
    address = _without_version(parse_address(given))
    if not is_azure(host_of(given)):
        return address
    base_url = address.base_url.removesuffix("/openai")  # where Azure has the models of OpenAI
    return Address(f"{base_url}/anthropic" if base_url.count("/") == 2 else base_url, address.query)


def _without_version(address: Address) -> Address:
    """The address without the version, which is a part of the format's path."""
    return Address(address.base_url.removesuffix("/v1"), address.query)
