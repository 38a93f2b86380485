"""Keeps a history inside the model's window: documents and tool outputs first, then older turns.

What is kept is not changed, reasoning and native forms included; a call is never separated from its result. There are
two attempts, the second one shortens more. When the history is still too long after both, or nothing can be
shortened, the error is `context_overflow`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agent_runtime.conversation.documents import as_text
from agent_runtime.conversation.image_limits import left_out
from agent_runtime.conversation.normalize import CONTINUE, normalize
from agent_runtime.conversation.plain_text import plain_text
from agent_runtime.conversation.tokens import BYTES_PER_TOKEN, Estimator
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import dataclass
from agent_runtime.protocol.events import NoticeEvent
from agent_runtime.protocol.messages import AssistantMessage, Message, Text, ToolResult, UserMessage
from agent_runtime.protocol.text import truncate_middle

log = logging.getLogger(__name__)

Summarize = Callable[[list[Message]], Awaitable[str]]

SUMMARY = "<conversation-summary>"
LATEST = "The latest instructions, in full:"
REMINDER = "<system-reminder>"  # begins messages that the program itself writes
_MARGIN = 0.05  # of the window, because estimates are not exact
_ENOUGH = 0.9  # of what fits: when shortened outputs reach it, no summary is needed
_READING = 0.6  # of what fits is given to the summarizing model; half of that in the second attempt
_MAX_PRESSURE = 4.0
_ATTEMPTS = 2
_REASON = "the conversation was shortened"


@dataclass(frozen=True)
class ContextLimits:
    """The limits of the model in use, in tokens: its context window, and the reserve for its output.

    `model` is the position of the model in the list of the run: it changes when another one is used.
    """

    window: int
    reserve: int
    model: int = 0


class CompactedHistory(NamedTuple):
    """A history that fits, and a notice when it was shortened. Continue with these messages."""

    messages: list[Message]
    notice: NoticeEvent | None


@dataclass(frozen=True)
class _Effort:
    # how much an attempt shortens; shares are of what fits
    whole_turns: int  # that many of the last turns keep their tool outputs
    output: int  # characters that are left of other tool outputs
    target: float  # the size that shortening aims at
    tail: float  # of recent turns beside a summary


_GENTLE = _Effort(whole_turns=3, output=2_000, target=0.7, tail=0.3)
_HARD = _Effort(whole_turns=0, output=1_000, target=0.5, tail=0.1)


class Compactor:
    """Shortens a history that exceeds the model's window.

    Args:
        limits: gives the limits of the model in use.
        estimator: counts the context.
        summarize: gives the text that a model answers to these messages. May raise ProviderError.
    """

    def __init__(
        self, *, limits: Callable[[], ContextLimits], estimator: Estimator, summarize: Summarize
    ) -> None:
        self._limits = limits
        self._estimator = estimator
        self._summarize = summarize
        self._running = False
        self._in_a_row = 0  # times it was shortened, and the provider still counted too much

    @property
    def budget(self) -> int:
        """The maximum tokens of a request."""
        limits = self._limits()
        return int(limits.window - min(limits.reserve, limits.window // 2) - limits.window * _MARGIN)

    async def fit(self, messages: Sequence[Message], force: bool = False) -> CompactedHistory:
        """Return the messages, shortened if they do not fit.

        Args:
            messages: the history.
            force: the provider has refused it as too long, whatever was estimated.

        Raises:
            ProviderError: `context_overflow`, when it cannot be made to fit.
        """
        before = self._estimator.context
        if before <= self.budget and not force:
            self._in_a_row = 0
            return CompactedHistory(list(messages), None)
        if self._estimator.known <= self.budget:  # shortening did help; the messages added since are too long
            self._in_a_row = 0
        if self._running:  # the request for the summary was too long: the attempt that made it handles this
            raise ProviderError(
                "context_overflow", "the record to be summarized is too long", retryable=False
            )
        self._running = True
        try:
            return await self._shorten(messages, before, force)
        finally:
            self._running = False

    async def _shorten(self, messages: Sequence[Message], before: int, force: bool) -> CompactedHistory:
        paused = bool(messages) and isinstance(messages[-1], AssistantMessage)
        whole = normalize(messages, paused=paused).messages
        first = self._estimator.total(whole)
        shorter = list(map(as_text, whole))
        before = max(before, first)
        pressure = before / first  # the provider may have counted more than the estimate
        limit = min(self.budget, before * 2 // 3) if force else self.budget
        if self._in_a_row == _ATTEMPTS:
            raise self._overflow(before, "shortening it does not help")
        cause = "nothing in it can be shortened"
        for number, effort in enumerate((_HARD, _HARD) if force or self._in_a_row else (_GENTLE, _HARD), 1):
            shorter = self._shorten_outputs(shorter, effort, int(limit * effort.target / pressure))
            if self._estimator.total(shorter) * pressure > limit * _ENOUGH:
                tail = int(limit * effort.tail / pressure)
                reading = int(self.budget * _READING / number / min(pressure, _MAX_PRESSURE))
                try:
                    shorter = await self._summarize_turns(shorter, tail, reading)
                except ProviderError as error:
                    cause = f"the summary failed: {error}"
                    log.warning("compaction: %s", cause)
            after = self._estimator.total(shorter)
            if after < first and after <= self.budget:
                self._in_a_row += 1
                return self._done(shorter, before, after)
        raise self._overflow(before, cause)

    def _overflow(self, tokens: int, cause: str) -> ProviderError:
        message = f"the conversation takes about {tokens} tokens, {self.budget} fit, and {cause}"
        details = {"tokens": tokens, "budget": self.budget}
        return ProviderError("context_overflow", message, retryable=False, details=details)

    def _done(self, messages: list[Message], before: int, after: int) -> CompactedHistory:
        self._estimator.replaced(messages)
        message = f"the conversation was shortened from about {before} to about {after} tokens"
        details = {"tokensBefore": before, "tokensAfter": after}
        return CompactedHistory(
            messages, NoticeEvent(code="context_compacted", message=message, details=details)
        )

    def _shorten_outputs(self, messages: list[Message], effort: _Effort, target: int) -> list[Message]:
        """Truncate tool outputs to head and tail, the oldest first, until the target is met."""
        turns = [index for index, message in enumerate(messages) if isinstance(message, AssistantMessage)]
        whole = turns[-effort.whole_turns] if 0 < effort.whole_turns <= len(turns) else len(messages)
        if effort.whole_turns > len(turns):
            return messages
        shorter = list(messages)
        size = self._estimator.total(messages)
        for index, message in enumerate(messages[:whole]):
            if size <= target:
                break
            shorter[index] = _shortened(message, effort.output)
            size -= self._estimator.size([message]) - self._estimator.size([shorter[index]])
        return shorter

    async def _summarize_turns(self, messages: list[Message], tail: int, reading: int) -> list[Message]:
        """The task, a summary of the older turns, and the recent turns as they are.

        Args:
            messages: normalized.
            tail: tokens that recent turns may take.
            reading: tokens that the summarizing model is given to read.
        """
        start = self._tail_start(messages, tail)
        if start is None:
            return messages
        older, recent = messages[:start], messages[start:]
        text = plain_text(older, reading * BYTES_PER_TOKEN)
        summary = (await self._summarize([UserMessage.of(f"{_instructions()}\n\n{text}")])).strip()
        if not summary:
            raise ProviderError("provider_error", "the model answered with no text", retryable=False)
        head = _head(older, summary, self.budget * BYTES_PER_TOKEN // 4)
        return list(normalize([head, *recent], paused=isinstance(recent[-1], AssistantMessage)).messages)

    def _tail_start(self, messages: list[Message], tail: int) -> int | None:
        # where the recent turns begin: at a turn of the model, or at a prompt that answers no call
        starts = [
            index
            for index, message in enumerate(messages)
            if index > 1 and (isinstance(message, AssistantMessage) or not _results(message))
        ]
        fitting = (index for index in starts if self._estimator.size(messages[index:]) <= tail)
        return next(fitting, starts[-1] if starts else None)


def _instructions() -> str:
    return (Path(__file__).parents[1] / "prompts" / "compact.md").read_text("utf-8").strip()


def _results(message: Message) -> bool:
    return any(isinstance(block, ToolResult) for block in message.blocks)


def _shortened(message: Message, limit: int) -> Message:
    if not _results(message):
        return message
    message = left_out(message, _REASON)
    blocks = [
        block.model_copy(update={"content": (Text(text=truncate_middle(block.text, limit)),)})
        if isinstance(block, ToolResult)
        else block
        for block in message.blocks
    ]
    return message.model_copy(update={"blocks": tuple(blocks)})


def _head(older: Sequence[Message], summary: str, limit: int) -> UserMessage:
    """Return the first task and the latest instructions verbatim, and the summary of what came between."""
    prompts = [text for message in older if isinstance(message, UserMessage) for text in _prompts(message)]
    parts = [f"{SUMMARY}\nThe conversation so far, summarized:\n\n{summary}\n</conversation-summary>"]
    if prompts:
        parts.insert(0, truncate_middle(prompts[0], limit))
    if prompts and prompts[-1] != prompts[0]:
        parts.append(f"{LATEST}\n{truncate_middle(prompts[-1], limit)}")
    return UserMessage(blocks=tuple(Text(text=part) for part in parts))


def _prompts(message: UserMessage) -> list[str]:
    texts = [block.text for block in message.blocks if isinstance(block, Text)]
    texts = [text.removeprefix(LATEST).lstrip("\n") for text in texts]
    return [text for text in texts if not text.startswith((SUMMARY, REMINDER)) and text != CONTINUE]
