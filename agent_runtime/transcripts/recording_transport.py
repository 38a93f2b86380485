"""Records the requests to a provider and its responses, by wrapping the transport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from agent_runtime.agent.model import Transport
from agent_runtime.errors import ProviderError
from agent_runtime.protocol.messages import WireFormat
from agent_runtime.transcripts.records import Failure
from agent_runtime.transcripts.writer import Recorder


class RecordingTransport:
    """A transport that records every request when it is sent, and its response when it has ended."""

    def __init__(self, inner: Transport, recorder: Recorder, *, provider: str, format: WireFormat) -> None:
        self._inner = inner
        self._recorder = recorder
        self._provider = provider
        self._format: WireFormat = format

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the chunks of the inner transport. Raises what it raises."""
        call = self._recorder.sent(body, provider=self._provider, format=self._format)
        began = self._recorder.now()
        chunks: list[dict[str, Any]] = []
        offsets: list[int] = []
        error: Failure | None = None
        interrupted = True
        try:
            async with aclosing(_generator(self._inner.stream(body))) as stream:
                async for chunk in stream:
                    chunks.append(chunk)
                    offsets.append(self._recorder.now() - began)
                    yield chunk
            interrupted = False
        except ProviderError as failure:
            error, interrupted = Failure.of(failure), False
            raise
        finally:
            now = self._recorder.now()
            values = {"at": now, "call": call, "format": self._format, "duration_ms": now - began}
            self._recorder.response(
                {**values, "chunks": chunks, "offsets": offsets, "error": error, "interrupted": interrupted}
            )

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


def _generator(stream: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[dict[str, Any], None]:
    """Return the iterator as a generator, which can be closed."""
    return stream if isinstance(stream, AsyncGenerator) else _generated(stream)


async def _generated(stream: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[dict[str, Any], None]:
    async for item in stream:
        yield item
