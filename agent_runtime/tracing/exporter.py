"""Sends spans and metrics to an OTLP collector, from a thread of its own: the run never waits for the collector.

The OpenTelemetry SDK is imported in that thread, at the start of the run. It reads its settings from the environment
(OTEL_*).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from agent_runtime.agent.trace import Span

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0  # that the end of a run waits at most
_WAIT_SECONDS = 2.0  # for more spans, before those that are there are sent
_MOST = 10_000  # spans that wait for the collector; further ones are dropped
_ENDPOINTS = tuple(f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_"))
_INSTALL = (
    "an OTLP endpoint is set, but the OpenTelemetry SDK is not installed: nothing is sent;"
    " install it with `pip install 'agent-runtime[otel]'`"
)


def is_configured(environ: Mapping[str, str]) -> bool:
    """Return whether spans are to be sent. A missing SDK is logged as an error."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or not any(map(environ.get, _ENDPOINTS)):
        return False
    if find_spec("opentelemetry.sdk") is None:
        log.error(_INSTALL)
        return False
    return True


class Exporter:
    """Sends spans, and the metrics that follow from them.

    Args:
        environ: the environment of the runtime.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._spans: queue.Queue[Span | None] = queue.Queue(_MOST)
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def take(self, span: Span) -> None:
        """Take a span that has ended. Never blocks: when too many wait, it is dropped."""
        try:
            self._spans.put_nowait(span)
        except queue.Full:
            log.debug("a span was dropped: the collector is too slow")

    def close(self) -> None:
        """Send what is left, in at most CLOSE_SECONDS."""
        try:
            self._spans.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        # it logs each failure with its traceback
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        try:
            from agent_runtime.tracing.otlp import OtlpSender

            sender = OtlpSender(self._environ)
            is_open = True
            while is_open:
                spans, is_open = self._next()
                sender.send(spans, last=not is_open)
        except Exception:
            log.debug("nothing more is sent to the collector", exc_info=True)

    def _next(self) -> tuple[Sequence[Span], bool]:
        """Wait for spans; returns them, and whether there may be more."""
        found: list[Span] = []
        span = self._spans.get()
        while span is not None:
            found.append(span)
            try:
                span = self._spans.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                return found, True
        return found, False
