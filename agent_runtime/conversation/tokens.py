"""Counts the tokens in the context: the provider's count, and an estimate for what it has not counted yet.

Where a provider counts nothing, tiktoken does. The tokenizer's data (3.6 MB, o200k_base) is part of the package, never
fetched, and loaded when first needed (0.3 s), in a thread. It is exact for OpenAI's models and close for others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from agent_runtime.agent.model import ToolSpec
from agent_runtime.conversation.documents import documents
from agent_runtime.lazy import lazy_pattern
from agent_runtime.protocol.messages import (
    Document,
    Image,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    clean_text,
)

if TYPE_CHECKING:
    import tiktoken

log = logging.getLogger(__name__)

DATA = Path(__file__).parents[1] / "data" / "o200k_base.tiktoken"
SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"  # as pinned by tiktoken_ext

IMAGE_TOKENS = 1600  # what an image of usual size costs (Anthropic: width x height / 750, at most about 1600)
MESSAGE_TOKENS = 4  # role and separators
BYTES_PER_TOKEN = 4
# a provider's count of the whole context that is less than this part of its messages cannot be true
PLAUSIBLE = 0.25

# tiktoken_ext.openai_public.o200k_base; its loader would fetch the data
_WORD = r"[^\r\n\p{L}\p{N}]?"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PATTERN = "|".join(
    [
        _WORD + r"""[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+""" + _CONTRACTION,
        _WORD + r"""[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*""" + _CONTRACTION,
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)
_SPECIAL = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}

# Text is counted in pieces that end where a word begins, so that the sum is exact. A piece without such a place ends
# anywhere: the tokenizer takes quadratic time for a megabyte of one letter, and panics on one of spaces.
_PIECE = lazy_pattern(r".{1,4000}(?<=\S)(?= \S)|.{1,4000}", re.DOTALL)


class Tokenizer:
    """o200k_base. Blocking, and thread-safe once made: make it and use it in a thread."""

    def __init__(self, data: Path = DATA) -> None:
        """Load the data. Raises OSError or ValueError when it is missing or damaged."""
        import tiktoken

        content = data.read_bytes()
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise ValueError(f"{data} is damaged: its SHA-256 is not {SHA256}")
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, content.splitlines())}
        self._encoding: tiktoken.Encoding = tiktoken.Encoding(
            "o200k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens=_SPECIAL
        )

    def count(self, text: str) -> int:
        """Count the tokens of a text. Special tokens in it count as plain text."""
        pieces = _PIECE.findall(clean_text(text))
        return sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)


def estimate(text: str) -> int:
    """Estimate the tokens of a text: four bytes each."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def texts(message: Message) -> Iterable[str]:
    """Return all text of a message that counts as tokens."""
    for block in message.blocks:
        if isinstance(block, Text | Thinking | Document):
            yield block.text
        elif isinstance(block, ToolCall):
            yield block.name + block.arguments
        elif isinstance(block, ToolResult):
            yield block.text


def images(message: Message) -> int:
    """Return the number of images in a message."""
    return sum(
        sum(isinstance(part, Image) for part in block.content) if isinstance(block, ToolResult) else 1
        for block in message.blocks
        if isinstance(block, Image | ToolResult)
    )


def native_size(document: Document) -> int:
    """Estimate the tokens of a document where the model reads its format: its text, and a picture of each page."""
    return estimate(document.text) + document.pages * IMAGE_TOKENS


def describe(tools: Sequence[ToolSpec]) -> str:
    """Return the text of the tools' descriptions."""
    return "".join(f"{tool.name}{tool.description}{json.dumps(tool.parameters)}" for tool in tools)


class Estimator:
    """Tracks the tokens in the context: the provider's last count, and an estimate of what was appended since.

    The estimate is scaled by what the provider counted for the same text, so that it fits its tokenizer. A count that
    is far below the estimate is not used: some servers report a constant, or only what was not cached.

    Args:
        system: the system prompt.
        tools: returns the tools whose descriptions the model in use gets.
        reads: whether the model in use gets a document in its own format.
    """

    def __init__(
        self,
        system: str = "",
        tools: Callable[[], Sequence[ToolSpec]] = tuple,
        reads: Callable[[Document], bool] = lambda document: False,
    ) -> None:
        self._system, self._tools, self._reads = system, tools, reads
        self._head = system + describe(tools())
        self._head_size = estimate(self._head)
        self._raw = self._head_size  # of the whole context, unscaled
        self._scale = 1.0
        self._known = 0  # tokens, counted by the provider or by the tokenizer
        self._since: list[Message] = []  # what came after that
        self._tokenizer: Tokenizer | None = None
        self._counted = False  # whether `_known` counts the whole context before `_since`

    @property
    def context(self) -> int:
        """The tokens in the context."""
        if not self._counted:
            return round(self._raw * self._scale)
        return self._known + self.size(self._since)

    @property
    def known(self) -> int:
        """The provider's last count, without what was appended since; 0 when there is none."""
        return self._known if self._counted else 0

    def total(self, messages: Iterable[Message]) -> int:
        """Estimate the tokens of the context with these messages."""
        return round((self._head_size + sum(map(self._size, messages))) * self._scale)

    def add(self, message: Message) -> None:
        """Add the estimate of a message that was appended."""
        self._since.append(message)
        self._raw += self._size(message)

    def observe(self, usage: Usage | None, turn: Message) -> None:
        """Use the provider's count for the call of a turn that was appended, unless it cannot be true."""
        self.add(turn)
        if usage is None or usage.input_tokens == 0:
            return
        if usage.total_tokens < (self._raw - self._head_size) * PLAUSIBLE:
            return
        self._scale = min(4.0, max(0.5, usage.total_tokens / max(1, self._raw)))
        self._settle(usage.total_tokens)

    @property
    def is_counted(self) -> bool:
        """Whether everything in the context was counted, by the provider or by the tokenizer."""
        return self._counted and not self._since

    def replaced(self, messages: Sequence[Message]) -> None:
        """Estimate everything again: the history was replaced by a shorter one."""
        self._raw = self._head_size + sum(map(self._size, messages))
        self._counted, self._known, self._since = False, 0, list(messages)

    def renew(self, messages: Sequence[Message]) -> None:
        """Estimate everything again, the tools too: another model is in use, to which these messages are new."""
        self._head = self._system + describe(self._tools())
        self._head_size = estimate(self._head)
        self.replaced(messages)

    def size(self, messages: Iterable[Message]) -> int:
        """Estimate the tokens of messages."""
        return round(sum(map(self._size, messages)) * self._scale)

    async def counted(self, turn: Message) -> Usage:
        """Estimate the usage of the call of the last observed turn, where the provider's count was not used."""
        return await to_thread.run_sync(self._count, turn, abandon_on_cancel=True)

    def _count(self, turn: Message) -> Usage:
        before = [message for message in self._since if message is not turn]
        read = self._known if self._counted else self._tokens([self._head])
        read += sum(map(self._message_tokens, before))
        written = self._message_tokens(turn)
        self._settle(read + written)
        return Usage(input_tokens=read, output_tokens=written, estimated=True)

    def _settle(self, tokens: int) -> None:
        self._known, self._counted, self._since = tokens, True, []

    def _message_tokens(self, message: Message) -> int:
        return self._tokens(texts(message)) + self._besides(message)

    def _size(self, message: Message) -> int:
        return sum(map(estimate, texts(message))) + self._besides(message)

    def _besides(self, message: Message) -> int:
        """The tokens of a message besides its text."""
        pages = sum(document.pages for document in documents(message) if self._reads(document))
        return (images(message) + pages) * IMAGE_TOKENS + MESSAGE_TOKENS

    def _tokens(self, texts: Iterable[str]) -> int:
        try:
            self._tokenizer = self._tokenizer or Tokenizer()
        except (OSError, ValueError, ImportError) as error:
            log.warning("tokens are estimated: the tokenizer cannot be loaded: %s", error)
            return sum(map(estimate, texts))
        return sum(map(self._tokenizer.count, texts))
