"""Patterns that are compiled at their first use."""

from __future__ import annotations

import re

import pytest

from agent_runtime.protocol.lazy_pattern import lazy_pattern


def test_it_is_compiled_once_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = re.compile

    def counted(pattern: str, flags: int = 0) -> re.Pattern[str]:
        compiled.append(pattern)
        return real(pattern, flags)

    monkeypatch.setattr(re, "compile", counted)
    pattern = lazy_pattern("B(.)", re.I)
    assert compiled == []
    assert [pattern.findall(text) for text in ("abc", "xby", "")] == [["c"], ["y"], []]
    assert compiled == ["B(.)"]
    assert (pattern.sub(r"\1", "abc"), pattern.pattern, pattern.flags & re.I) == ("ac", "B(.)", re.I)
