"""Keeps what was computed from each item of a growing list: a turn costs what is new, not what the list is long."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


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

    def is_extended_by(self, items: Sequence[S]) -> bool:
        """Return whether the list begins with all items of the last one."""
        return self._common(items) == len(self._items)

    def _common(self, items: Sequence[S]) -> int:
        known = self._items
        if len(items) >= len(known) and all(map(operator.is_, known, items)):
            return len(known)
        different = (n for n, (old, new) in enumerate(zip(known, items, strict=False)) if old is not new)
        return next(different, min(len(known), len(items)))
