"""Traces of a run: spans, the W3C trace context, and the span that is current in each task. No I/O.

A span is started where the work is done, below the span that is current there. Without a collector there are no spans,
but the caller's trace context is still passed on to models, tools and MCP servers.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import Any, Literal

from agent_runtime.lazy import dataclass, lazy_pattern

_TRACEPARENT = lazy_pattern(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
Kind = Literal["internal", "client"]


@dataclass
class Span:
    """A piece of work. Times are in nanoseconds of Unix time; `error` is the class of the error, empty for none."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str = ""
    kind: Kind = "internal"
    start: int = 0
    end: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    message: str = ""  # of the error

    @property
    def traceparent(self) -> str:
        """The trace context for what is called in this span."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    @property
    def seconds(self) -> float:
        """Its duration."""
        return (self.end - self.start) / 1e9

    def fail(self, error: str, message: str = "") -> None:
        """Record that it failed."""
        self.error, self.message = error, message


@dataclass(frozen=True)
class Trace:
    """Where a task is in the trace.

    Attributes:
        traceparent: the trace context to pass on; empty for none.
        on_end: takes the spans that have ended; None: no spans are made.
    """

    traceparent: str = ""
    on_end: Callable[[Span], None] | None = None

    def child(self, name: str, kind: Kind = "internal", **attributes: Any) -> Span:
        """Start a span below this place; without a place above it the first of a new trace."""
        trace_id, parent_id = (
            self.traceparent.split("-")[1:3] if self.traceparent else (secrets.token_hex(16), "")
        )
        return Span(
            name, trace_id, secrets.token_hex(8), parent_id, kind, time.time_ns(), attributes=attributes
        )

    def inside(self, span: Span) -> Trace:
        """Return the place inside of a span."""
        return Trace(span.traceparent, self.on_end)

    def end(self, span: Span) -> None:
        """End a span now."""
        span.end = time.time_ns()
        if self.on_end:
            self.on_end(span)


_current: ContextVar[Trace] = ContextVar("trace", default=Trace())  # noqa: B039 - it is immutable


def current() -> Trace:
    """Return where the task is in the trace."""
    return _current.get()


def enter(trace: Trace) -> None:
    """Set where the task is in the trace, and the tasks that it starts from now on."""
    _current.set(trace)


@contextmanager
def span(name: str, kind: Kind = "internal", **attributes: Any) -> Iterator[Span | None]:
    """Do work in a span of its own; None without a collector. An exception marks it as failed."""
    outer = current()
    if outer.on_end is None:
        yield None
        return
    inner = outer.child(name, kind, **attributes)
    token = _current.set(outer.inside(inner))
    try:
        yield inner
    except BaseException as error:
        inner.fail(str(getattr(error, "code", "") or type(error).__name__), str(error))
        raise
    finally:
        _current.reset(token)
        outer.end(inner)


def trace_headers() -> dict[str, str]:
    """Return the headers that pass the trace context on; empty when there is none."""
    return {"traceparent": traceparent} if (traceparent := current().traceparent) else {}


def valid_traceparent(text: str | None) -> str:
    """Return the trace context if it is one, otherwise an empty string."""
    return text if text and _TRACEPARENT.fullmatch(text) else ""


def is_sampled(traceparent: str) -> bool:
    """Return whether spans below a trace context are to be recorded; without one they are."""
    return not traceparent or bool(int(traceparent[-2:], 16) & 1)
