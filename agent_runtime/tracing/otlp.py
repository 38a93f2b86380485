"""Spans and metrics in the forms of the OpenTelemetry SDK, and their exporters. Imported by the exporter's thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from agent_runtime.agent.trace import Span
from agent_runtime.tracing import names
from agent_runtime.version import VERSION

_METRICS_MS = 60_000.0  # between two exports of metrics of a long run
_SECONDS = {
    "chat": names.OPERATION_SECONDS,
    "invoke_agent": names.AGENT_SECONDS,
    "execute_tool": names.TOOL_SECONDS,
}
_METRIC_ATTRIBUTES = (
    names.OPERATION,
    names.PROVIDER,
    names.REQUEST_MODEL,
    names.RESPONSE_MODEL,
    names.AGENT,
    names.TOOL,
    names.MCP_METHOD,
    names.ERROR,
)


class OtlpSender:
    """Sends spans, and records metrics of them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._resource = Resource.create(
            {"service.name": environ.get("OTEL_SERVICE_NAME", names.SCOPE), "service.version": VERSION}
        )
        self._scope = InstrumentationScope(names.SCOPE, VERSION)
        self._traces = OTLPSpanExporter() if _is_sent("TRACES", environ) else None
        readers: list[MetricReader] = []
        if _is_sent("METRICS", environ):
            exporter = OTLPMetricExporter()
            readers.append(PeriodicExportingMetricReader(exporter, export_interval_millis=_METRICS_MS))
        self._metrics = MeterProvider(readers, self._resource, shutdown_on_exit=False)
        self._instruments = _Instruments(self._metrics)

    def send(self, spans: Sequence[Span], *, last: bool) -> None:
        """Send spans, and the metrics too with the last ones."""
        for span in spans:
            self._instruments.record(span)
        if spans and self._traces:
            self._traces.export([self._readable(span) for span in spans])
        if last:
            self._metrics.force_flush()

    def _readable(self, span: Span) -> ReadableSpan:
        errors = {names.ERROR: span.error} if span.error else {}
        status = (
            Status(StatusCode.ERROR, span.message or span.error) if span.error else Status(StatusCode.UNSET)
        )
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
            resource=self._resource,
            attributes=span.attributes | errors,
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            status=status,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


class _Instruments:
    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(names.SCOPE, VERSION)
        self._seconds = {
            name: meter.create_histogram(name, "s", explicit_bucket_boundaries_advisory=names.SECONDS_BUCKETS)
            for name in (*_SECONDS.values(), names.MCP_SECONDS)
        }
        self._tokens = meter.create_histogram(
            names.TOKEN_USAGE, "{token}", explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS
        )
        self._cost = meter.create_counter(names.TOTAL_COST, "{USD}", "cost of the model calls")

    def record(self, span: Span) -> None:
        """Record what a span says about durations, tokens and cost."""
        given = span.attributes | ({names.ERROR: span.error} if span.error else {})
        attributes: dict[str, Any] = {name: given[name] for name in _METRIC_ATTRIBUTES if name in given}
        is_mcp = names.MCP_METHOD in given
        name = names.MCP_SECONDS if is_mcp else _SECONDS[str(given[names.OPERATION])]
        self._seconds[name].record(span.seconds, attributes)
        if given.get(names.OPERATION) == "chat":
            for kind, field in (("input", names.INPUT_TOKENS), ("output", names.OUTPUT_TOKENS)):
                if field in given:
                    self._tokens.record(int(given[field]), attributes | {"gen_ai.token.type": kind})
        if cost := given.get(names.COST):
            self._cost.add(float(cost), attributes)


def _is_sent(signal: str, environ: Mapping[str, str]) -> bool:
    """Return whether there is an endpoint for a signal, and the signal is not switched off."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return environ.get(f"OTEL_{signal}_EXPORTER") != "none" and any(map(environ.get, endpoints))


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1))
