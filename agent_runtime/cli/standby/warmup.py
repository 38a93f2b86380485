"""Prepares a standby before its first run: imports modules, and builds what is otherwise built at first use."""

from __future__ import annotations

import gc
from contextlib import suppress

_LATE = (  # modules that this package and its libraries import at first use
    *("tiktoken", "watchfiles", "jinja2.sandbox", "anyio._backends._asyncio"),
    *("PIL.Image", "unidiff.patch"),
    *("httpx2", "httpcore2", "h11"),
    "jsonschema_rs",
    *("encodings.utf_8_sig", "encodings.unicode_escape"),
)
# subpackages that no run needs; some import packages that may not be installed, such as pytest
_NOT_OF_RUNS = frozenset(("acp", "api", "cli", "client", "fleet", "server", "testing"))
# packages of extras, which may not be installed
_EXTRAS = frozenset(("azure", "botocore", "google", "mcp", "mcp_types", "opentelemetry"))


def warm_up() -> None:
    """Import all modules that a run may need, and build what is otherwise built at first use. Starts no thread."""
    from importlib import import_module
    from pkgutil import walk_packages

    import agent_runtime

    for module in walk_packages(agent_runtime.__path__, "agent_runtime."):
        if module.name.split(".")[1] not in _NOT_OF_RUNS and not module.name.endswith("__main__"):
            try:
                import_module(module.name)
            except ModuleNotFoundError as error:
                if (error.name or "").split(".")[0] not in _EXTRAS:
                    raise
    for name in _LATE:
        import_module(name)
    from pydantic import BaseModel

    from agent_runtime.lazy import complete_all
    from agent_runtime.providers.prices import PriceTable
    from agent_runtime.providers.tls import trusted

    PriceTable({}).has("anthropic", "claude-sonnet-4-5", "")

    with suppress(OSError):  # a run reports this error itself
        trusted()
    todo: list[type[BaseModel]] = [BaseModel]
    while todo:
        model = todo.pop()
        todo += model.__subclasses__()
        if model.__module__.startswith("agent_runtime."):
            model.model_rebuild()
    complete_all()
    gc.collect()
    gc.freeze()  # existing objects are not examined again: their pages stay shared with the runs
