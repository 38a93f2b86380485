"""See agent_runtime.testing.runtime."""

from agent_runtime.testing.runtime import (
    COMMAND,
    LINE_LIMIT,
    Json,
    Result,
    catches,
    check,
    environment,
    full,
    parse,
    result,
    run,
)

__all__ = [
    "COMMAND",
    "LINE_LIMIT",
    "Json",
    "Result",
    "catches",
    "check",
    "environment",
    "full",
    "parse",
    "result",
    "run",
]
