"""Emits the events of a run with back pressure, and stops the run when the reader has closed the stream."""

from __future__ import annotations

import select

import anyio

from agent_runtime.engine.stop import StopSwitch
from agent_runtime.output.deltas import DeltaWriter
from agent_runtime.output.event_writer import EventWriter, StdoutClosed
from agent_runtime.output.masking import Masker
from agent_runtime.protocol import events

_BACKLOG = 256  # lines; more are not emitted once the run is stopped, if they can be left out


class EventSink:
    """Emits the events of one run.

    Args:
        writer: the event stream.
        stop: used to stop the run when the reader has gone. Once the run is stopped, the reader is not waited for.
        masker: masks secrets in deltas.
        partial: whether delta events are emitted.

    Attributes:
        deltas: takes the deltas of the model's turns.
    """

    def __init__(self, writer: EventWriter, stop: StopSwitch, masker: Masker, *, partial: bool) -> None:
        self._writer, self._stop = writer, stop
        self._held: anyio.Event | None = None  # set when a held stream goes on
        self.deltas = DeltaWriter(self.send, masker, wanted=partial)

    async def emit(self, event: events.Event) -> None:
        """Emit an event after the deltas that it completes, and wait for the reader (back pressure).

        Does not raise: when the reader has gone, the run is stopped.
        """
        await self.deltas.before(event)
        await self.send(event)

    async def send(self, event: events.Event) -> None:
        """Emit an event without the deltas that are still held back."""
        while self._held is not None and self._stop.reason is None:
            with self._stop.scope():
                await self._held.wait()
        await self.reply(event)

    async def reply(self, event: events.Event) -> None:
        """Emit the answer to a caller at once, even while the stream is held."""
        self._writer.put(event)
        await self._drain()

    @property
    def run_id(self) -> str:
        """The run id of the events from now on."""
        return self._writer.run_id

    @run_id.setter
    def run_id(self, run_id: str) -> None:
        self._writer.run_id = run_id

    async def hold(self, last: events.Event) -> None:
        """Emit a last event, and hold the others back until `release`. A run that is stopped is not held."""
        self._held = self._held or anyio.Event()
        await self.reply(last)

    async def release(self, first: events.Event | None = None) -> None:
        """Emit `first`, and let the events that were held back follow."""
        held, self._held = self._held, None
        if first:
            self._writer.put(first)
        if held:
            held.set()
        if first:
            await self._drain()

    def is_behind(self) -> bool:
        """Return whether the reader has left much to be written."""
        return self._writer.backlog > _BACKLOG

    async def watch_reader(self) -> None:
        """Stop the run when its reader has gone, even while nothing is written. Runs until cancelled."""
        with select.epoll() as poll:
            try:
                poll.register(self._writer.fd, 0)  # errors and hang-ups are always reported
            except PermissionError:
                return  # a regular file has no reader
            while True:
                await anyio.wait_readable(poll.fileno())
                if poll.poll(0):
                    self._writer.lose()
                    self._stop.stop("stdout_closed")
                    return

    async def _drain(self) -> None:
        if self._stop.reason is not None:
            return  # a reader that has stopped reading must not delay the end
        if self._writer.write_ready():
            return
        with self._stop.scope():
            try:
                await self._writer.drain()
            except StdoutClosed:
                self._stop.stop("stdout_closed")
