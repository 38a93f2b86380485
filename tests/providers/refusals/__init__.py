"""Refusals of parameters, by wire format."""

from __future__ import annotations

from tests.providers.refusals import chat, messages, responses
from tests.providers.refusals.case import BASH, Case, custom, refusal

CASES = [*chat.CASES, *responses.CASES, *messages.CASES]

__all__ = ["BASH", "CASES", "Case", "custom", "refusal"]
