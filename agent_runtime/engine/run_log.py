"""The log of a run on stderr."""

from __future__ import annotations

import faulthandler
import logging
import sys
from collections.abc import Mapping

from agent_runtime.output.masking import Masker


def configure_logging(level: str | None, environ: Mapping[str, str], mask: Masker) -> None:
    """Log to stderr with secrets masked. The level applies to this package, not to its libraries."""
    faulthandler.enable()  # SIGABRT prints the stack of every thread
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger().handlers[0].setFormatter(_MaskingFormatter(mask))
    level = level or environ.get("AGENT_RUNTIME_LOG", "").lower()
    if level in ("debug", "info", "warning", "error"):
        logging.getLogger("agent_runtime").setLevel(level.upper())


class _MaskingFormatter(logging.Formatter):
    """Masks secrets in log lines and tracebacks."""

    def __init__(self, mask: Masker) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))
