"""Servers that give access tokens of Google Cloud, and the files and variables that lead to them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent_runtime.testing.model_server import Turn
from tests.providers.cloud_servers import (
    Answer,
    Received,
    as_json,
    as_sse,
    chunks_of,
    host_and_port,
)

EMAIL = "models@a-project.iam.gserviceaccount.com"
AUDIENCE = "https://oauth2.googleapis.com/token"  # also where the file names another endpoint
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass
class Tokens:
    """Gives access tokens to whom it should, and accepts the last ones.

    Attributes:
        seconds: for which a token is valid.
        given: all tokens.
        refused: tokens that are not accepted any more.
    """

    key: rsa.RSAPrivateKey
    seconds: int = 3600
    given: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def answer(self, request: Received) -> Answer:
        """Answer as the token endpoint, as the metadata server, or as that of the security token service."""
        path = request.path.partition("?")[0]
        if path.startswith("/computeMetadata/v1") or path == "/":
            return self._metadata(path, request)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        if path == "/sts":
            known = form["subject_token"] == "a-token-of-the-workload"
            return self._give() if known else as_json({"error": "invalid_request"}, 400)
        try:
            claims = jwt.decode(form["assertion"], self.key.public_key(), ["RS256"], audience=AUDIENCE)
        except jwt.PyJWTError as error:
            return as_json({"error": "invalid_grant", "error_description": str(error)}, 400)
        expected = {"iss": EMAIL, "scope": SCOPE}
        return (
            self._give() if claims.items() >= expected.items() else as_json({"error": "invalid_scope"}, 400)
        )

    def model(self, request: Received) -> Answer:
        """Answer as the model, where the token is valid."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.given or token in self.refused:
            return as_json({"error": {"code": 401, "message": "No.", "status": "UNAUTHENTICATED"}}, 401)
        return as_sse(chunks_of(Turn("done")))

    def _give(self) -> Answer:
        self.given.append(f"ya29.a-token-{len(self.given)}")
        issued = "urn:ietf:params:oauth:token-type:access_token"
        token = {"access_token": self.given[-1], "expires_in": self.seconds, "token_type": "Bearer"}
        return as_json(token | {"issued_token_type": issued})

    def _metadata(self, path: str, request: Received) -> Answer:
        flavor = {"Metadata-Flavor": "Google"}
        if request.headers.get("metadata-flavor") != "Google":
            return Answer(403)
        if path.endswith("/token"):
            answer = self._give()
            return Answer(200, answer.content, {**answer.headers, **flavor})
        if path.endswith("/project/project-id"):
            return Answer(200, b"of-the-machine", {"Content-Type": "text/plain", **flavor})
        return as_json({"email": EMAIL, "scopes": [SCOPE]}, Metadata_Flavor="Google")


def service_account(tokens: Tokens, url: str) -> dict[str, Any]:
    pem = tokens.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": "of-the-account",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": EMAIL,
        "token_uri": f"{url}/token",
    }


def workload(tokens: Tokens, url: str, folder: Path) -> dict[str, Any]:
    (folder / "subject").write_text("a-token-of-the-workload")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/sts",
        "credential_source": {"file": str(folder / "subject")},
    }


def configure(place: str, tokens: Tokens, url: str, folder: Path) -> dict[str, str]:
    """Return the variables with which credentials are found in a place."""
    if place == "machine":
        return {"GCE_METADATA_HOST": host_and_port(url), "GCE_METADATA_IP": host_and_port(url)}
    content = workload(tokens, url, folder) if place == "workload" else service_account(tokens, url)
    if place == "login":
        file = folder / "gcloud" / "application_default_credentials.json"
        file.parent.mkdir()
    else:
        file = folder / "credentials.json"
    file.write_text(json.dumps(content))
    project = {"GOOGLE_CLOUD_PROJECT": "of-the-environment"} if place == "workload" else {}
    return ({} if place == "login" else {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}) | project
