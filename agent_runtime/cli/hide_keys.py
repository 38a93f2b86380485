"""Hides the API keys and credentials of a long-lived process that starts runs: `standby` and `serve`."""

from __future__ import annotations

import os

from agent_runtime.output.masking import address_secrets
from agent_runtime.providers.clouds import cloud_variables
from agent_runtime.providers.keys import received
from agent_runtime.providers.provider_variables import key_variables
from agent_runtime.system.hardening import harden


def hide_keys() -> None:
    """Hide the API keys of this process from the tools of the runs that it starts; the runs still have them."""
    environ = received(os.environ)
    secret = key_variables() | cloud_variables() | address_secrets(environ).keys()
    keys = {name: environ[name] for name in secret if name in environ}
    harden(keys)
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(keys)  # stored in memory that /proc does not expose
