"""How to connect to NATS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_runtime.errors import RequestError

if TYPE_CHECKING:
    import ssl

AUTO = "auto"  # instead of an address: a server that `serve` starts


@dataclass(frozen=True)
class NatsOptions:
    """How to connect.

    Attributes:
        url: one or more addresses, separated by commas: nats://, tls://, ws:// or wss://, with or without user,
            password or token.
        creds: a file with a JWT and its NKEY seed.
        nkey: a file with an NKEY seed.
        ca, cert, key: PEM files for TLS.
    """

    url: str
    creds: str | None = None
    nkey: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of nats.connect. Raises RequestError when a file cannot be read."""
        found: dict[str, Any] = {"servers": [part.strip() for part in self.url.split(",")]}
        for option, name, value in (
            ("--nats-creds", "user_credentials", self.creds),
            ("--nats-nkey", "nkeys_seed", self.nkey),
        ):
            if value is not None:
                _readable(option, value)
                found[name] = value
        if self.ca or self.cert:
            found["tls"] = self._tls()
        return found

    def _tls(self) -> ssl.SSLContext:
        import ssl  # noqa: PLC0415 -- this module is imported for the options of every command

        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise RequestError("--nats-ca", f"expected PEM files that can be read ({error})") from error
        return context

    def without_passwords(self) -> str:
        """The addresses without user and password."""
        return ", ".join(part.strip().rpartition("@")[2] for part in self.url.split(","))


def _readable(option: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise RequestError(option, f"expected a file that can be read: {path} ({error.strerror})") from error
