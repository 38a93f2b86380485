"""What a standby does before its first run: imports, what is built at first use, and its keys out of sight."""

from __future__ import annotations

import gc
import os
from contextlib import suppress

_LATE = (  # what is imported at first use, by this program and by its libraries
    *("tiktoken", "watchfiles", "jinja2.sandbox", "anyio._backends._asyncio"),
    *("PIL.Image", "unidiff.patch"),
    *("encodings.utf_8_sig", "encodings.unicode_escape"),
)


def warm_up() -> None:
    """Import all that a run may need, and have what is built at first use built. Starts no thread."""
    from importlib import import_module
    from pkgutil import walk_packages

    import agent_runtime

    for module in walk_packages(agent_runtime.__path__, "agent_runtime."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in _LATE:
        import_module(name)
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI
    from pydantic import BaseModel

    from agent_runtime.providers.tls import trusted

    # the SDKs import most of themselves, and all of HTTP, when a client is made and first used
    with suppress(OSError):  # a run says so, in its stream
        trusted()
    client = AsyncOpenAI(api_key="none")
    _ = AsyncAnthropic(api_key="none").messages, client.responses, client.chat.completions
    todo: list[type[BaseModel]] = [BaseModel]
    while todo:
        model = todo.pop()
        todo += model.__subclasses__()
        if model.__module__.startswith("agent_runtime."):
            model.model_rebuild()
    gc.collect()
    gc.freeze()  # what is here now is never looked at again: its pages stay shared with the runs


def hide_keys() -> None:
    """Shut this process off from its runs' tools, as each run does itself; the keys stay known to the runs."""
    from agent_runtime.output.masking import address_secrets
    from agent_runtime.providers.endpoints import key_variables
    from agent_runtime.providers.keys import received
    from agent_runtime.system.hardening import harden

    environ = received(os.environ)
    secret = key_variables() | address_secrets(environ).keys()
    keys = {name: environ[name] for name in secret if name in environ}
    harden(keys)
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(keys)  # memory that /proc does not show
