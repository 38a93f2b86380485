"""The options of commands that connect to NATS, and the check that the client for it is installed."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from agent_runtime.errors import RequestError
from agent_runtime.fleet.nats_options import NatsOptions

_FILES = {
    "--nats-creds": "a file with a JWT and its NKEY seed",
    "--nats-nkey": "a file with an NKEY seed",
    "--nats-ca": "certificates that the server's is checked against (PEM)",
    "--nats-cert": "the client's certificate (PEM)",
    "--nats-key": "the key of the client's certificate (PEM)",
}


def add_nats_options(parser: argparse.ArgumentParser, *, required: bool = False, help: str) -> None:
    """Add `--nats` and the options about credentials and TLS."""
    parser.add_argument("--nats", metavar="URL", required=required, help=help)
    for option, text in _FILES.items():
        parser.add_argument(option, metavar="FILE", help=text)


def nats_options(arguments: argparse.Namespace) -> NatsOptions:
    """Return the options of a connection. Raises RequestError when the client is not installed."""
    if find_spec("nats") is None:
        raise RequestError("--nats", "the client is not installed: pip install 'agent-runtime[nats]'")
    return NatsOptions(
        url=arguments.nats,
        creds=arguments.nats_creds,
        nkey=arguments.nats_nkey,
        ca=arguments.nats_ca,
        cert=arguments.nats_cert,
        key=arguments.nats_key,
    )
