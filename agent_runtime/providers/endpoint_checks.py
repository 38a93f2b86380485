"""Checks that the environment says where the models of an endpoint are."""

from __future__ import annotations

import re

from agent_runtime.errors import RequestError
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.provider_variables import base_variable

_REGIONS = {"bedrock": "AWS_REGION", "vertex": "CLOUD_ML_REGION"}
_HINTS = {
    "bedrock": "; or set AWS_REGION to the region of the model",
    "foundry": "; or set ANTHROPIC_FOUNDRY_RESOURCE to the name of the resource",
}


def check_address(endpoint: Endpoint) -> None:
    """Check the address of an endpoint, and its region where one is needed. Raises RequestError naming the variable."""
    row = endpoint.provider_row
    if row.platform == "vertex" and not endpoint.region:
        problem = "expected the region of the models at Vertex AI, such as global or us-east5"
        raise RequestError("CLOUD_ML_REGION", problem)
    if not re.match(r"https?://[^/?#\s]", endpoint.base_url):
        problem = f"expected a URL that begins with http:// or https:// and a host, got {endpoint.base_url!r}"
        raise RequestError(base_variable(endpoint.provider), problem + _HINTS.get(endpoint.provider, ""))
    if row.platform == "bedrock" and not (endpoint.region or endpoint.api_key):
        raise RequestError("AWS_REGION", "expected the region of the model, for which requests are signed")
    if endpoint.region and not re.fullmatch(r"[A-Za-z0-9-]+", endpoint.region):
        problem = f"expected the name of a region, such as us-east-1, got {endpoint.region!r:.60}"
        raise RequestError(_REGIONS[row.platform], problem)
