"""Keeps what was computed from each item of a growing list, so that the cost of a turn depends on new items only."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Growth(Generic[S]):
    """Follows a list from one state to the next, by the identity of its items."""

    def __init__(self) -> None:
        self._items: Sequence[S] = ()

    def since(self, items: Sequence[S]) -> Sequence[S] | None:
        """Return the items behind those of the last state; None when the list does not begin with all of those."""
        known, self._items = self._items, tuple(items)
        return self._items[len(known) :] if _begins_with(items, known) else None


class Memo(Generic[S, T]):
    """Results by the identity of the items, which must not be changed in place. Holds those of the last list only."""

    def __init__(self) -> None:
        self._items: list[S] = []  # kept alive, so that no other object gets the identity of one
        self._results: list[T] = []

    def map(self, items: Sequence[S], compute: Callable[[S], T]) -> list[T]:
        """Return the result for each item; computed for those that the last list did not have."""
        common = self._common(items)
        results = self._results[:common]
        if common < len(items):
            rest = zip(self._items[common:], self._results[common:], strict=True)
            known = {id(item): result for item, result in rest}
            results += [
                known[key] if (key := id(item)) in known else compute(item) for item in items[common:]
            ]
        self._items, self._results = list(items), results
        return list(results)

    def _common(self, items: Sequence[S]) -> int:
        same = list(map(operator.is_, self._items, items))
        return same.index(False) if False in same else len(same)


def _begins_with(items: Sequence[S], beginning: Sequence[S]) -> bool:
    return len(items) >= len(beginning) and all(map(operator.is_, beginning, items))
