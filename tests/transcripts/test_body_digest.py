from __future__ import annotations

import hashlib
import random

import pytest

from agent_runtime.transcripts import body_digest
from agent_runtime.transcripts.body_digest import BodyDigest


@pytest.mark.parametrize("seed", range(10))
def test_the_digest_is_that_of_the_whole_body(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_digest, "_BLOCK", 8)
    chance = random.Random(seed)
    digest, body = BodyDigest(), b""
    for _ in range(100):
        kept = body[: chance.choice([0, len(body), chance.randint(0, len(body))])]
        body = kept + chance.randbytes(chance.choice([0, 1, 8, 40]))
        assert digest.of(body) == hashlib.sha256(body).hexdigest()


def test_what_two_bodies_have_in_common_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, sha256 = 0, hashlib.sha256

    class Counting:
        def __init__(self) -> None:
            self._inner = sha256()

        def update(self, data: bytes) -> None:
            nonlocal hashed
            hashed += len(data)
            self._inner.update(data)

        def copy(self) -> Counting:
            copied = Counting()
            copied._inner = self._inner.copy()
            return copied

        def hexdigest(self) -> str:
            return self._inner.hexdigest()

    monkeypatch.setattr("agent_runtime.transcripts.body_digest.hashlib.sha256", Counting)
    digest, body = BodyDigest(), b"x" * 1_000_000
    for _ in range(50):
        body += b"y" * 100
        digest.of(body)
    assert hashed < 1_000_000 + 50 * (body_digest._BLOCK + 100)
