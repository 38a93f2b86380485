"""The Responses format of OpenAI: which output item an event is about.

Gateways leave ids out, change them with every event, or give all items the same place. An item is found by the id of
its call, by its own id, by its place, and then as the only one that it can be. A call id identifies one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agent_runtime.providers.openai_responses.items import Item, whole_item


class ItemList:
    """The output items of a turn, in the order in which they began."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._by_place: dict[Any, Item] = {}
        self._first = 0  # of the present response

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def begin_response(self) -> None:
        """Another response belongs to the same turn; its places are its own."""
        self._first = len(self._items)
        self._by_place = {}

    def add(self, item: Item, place: object) -> Item:
        """Append an item."""
        item.place = place
        self._items.append(item)
        self._by_place[place] = item
        return item

    def find(self, whole: Item, place: object, *, closes: bool) -> Item | None:
        """The item that opens (`closes`: ends) with this event; None when it is new."""
        same_type = [item for item in self._items if item.type == whole.type]
        for known in (
            [item for item in same_type if whole.given and item.given == whole.given],
            [
                item
                for item in same_type
                if whole.id and item.id == whole.id and not _is_other_call(item, whole)
            ],
        ):
            found = _open_or_equal(known, whole)
            if found is not None:
                return found
        at_place = self._by_place.get(place) if place is not None else None
        candidates = [at_place] if at_place is not None else []
        if closes:
            candidates += [item for item in self._items[self._first :] if not item.done]
        for item in candidates:
            if not item.done and item.may_become(whole) and (closes or not _is_other(item, whole)):
                return item
        if not (whole.given or whole.id):  # sent again, without any id
            return next(
                (item for item in same_type if item.place == place and item.content == whole.content), None
            )
        return None

    def equal(self, whole: Item) -> Item | None:
        """An item with the same content under any id."""
        return next((item for item in self._items if _has_same_content(item, whole)), None)

    def find_for_delta(self, type: str, id: object, place: object) -> Item | None:
        """The item that a delta adds to; None when no event has begun it."""
        named = [item for item in self._items if id and id in (item.id, item.given)]
        if named:
            return next((item for item in named if not item.done), named[-1])
        at_place = self._by_place.get(place) if place is not None else None
        if at_place is not None and at_place.type == type:
            return at_place
        still_open = [item for item in self._items if item.type == type and not item.done]
        return still_open[-1] if still_open else None

    def match(self, output: Sequence[dict[str, Any]]) -> list[tuple[Item, Item | None]]:
        """Each item of a whole response, and the item that has brought it; None for those that no event has brought."""
        unmatched = list(self._items)
        wholes = [whole_item(item) for item in output]
        matched: dict[int, Item] = {}
        for rule in (_is_identical, _has_same_id, _has_same_content, self._may_be):
            for number, whole in enumerate(wholes):
                if number not in matched:
                    found = next((item for item in unmatched if rule(item, whole)), None)
                    if found is not None:
                        matched[number] = found
                        unmatched.remove(found)
        return [(whole, matched.get(number)) for number, whole in enumerate(wholes)]

    def _may_be(self, item: Item, whole: Item) -> bool:
        """Items without a usable id: calls by their content, all others by their order."""
        if item not in self._items[self._first :] or item.type != whole.type:
            return False
        return item.may_become(whole) if whole.is_call else True


def _open_or_equal(known: Sequence[Item], whole: Item) -> Item | None:
    """The item among those of one id: the one that is open, or the one that says the same."""
    still_open = [item for item in known if not item.done]
    equal = [item for item in known if item.content == whole.content or item.may_become(whole)]
    return next(iter([*(item for item in still_open if item in equal), *still_open, *equal]), None)


def _is_other_call(item: Item, whole: Item) -> bool:
    """Return whether the item is another call, already complete, with the same item id."""
    return item.done and bool(item.given and whole.given) and item.given != whole.given


def _is_other(item: Item, whole: Item) -> bool:
    """Return whether their ids show that they are different items. An event that opens an item brings its final ids."""
    return any(a != b for a, b in ((item.given, whole.given), (item.id, whole.id)) if a or b)


def _has_same_id(item: Item, whole: Item) -> bool:
    if item.type != whole.type:
        return False
    return bool((whole.given and item.given == whole.given) or (whole.id and item.id == whole.id))


def _has_same_content(item: Item, whole: Item) -> bool:
    return item.type == whole.type and item.content == whole.content


def _is_identical(item: Item, whole: Item) -> bool:
    return _has_same_id(item, whole) and _has_same_content(item, whole)
