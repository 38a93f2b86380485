"""Digests of request bodies, each of which repeats most of the previous one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

_BLOCK = 1 << 12  # bytes


class BodyDigest:
    """Computes the SHA-256 of one body after another. The beginning shared with the last body is not hashed again."""

    def __init__(self) -> None:
        self._blocks: list[tuple[bytes, _Hash]] = []  # of the last body, each with the state after it

    def of(self, body: bytes) -> str:
        """Return the digest of a body, in hexadecimal."""
        blocks = self._common(body)
        state = blocks[-1][1].copy() if blocks else hashlib.sha256()
        for start in range(len(blocks) * _BLOCK, len(body), _BLOCK):
            block = body[start : start + _BLOCK]
            state.update(block)
            if len(block) == _BLOCK:
                blocks.append((block, state.copy()))
        self._blocks = blocks
        return state.hexdigest()

    def _common(self, body: bytes) -> list[tuple[bytes, _Hash]]:
        """Return the blocks of the last body that this one begins with."""
        for number, (block, _) in enumerate(self._blocks):
            if not body.startswith(block, number * _BLOCK):
                return self._blocks[:number]
        return self._blocks
