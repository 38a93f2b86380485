"""Pages of lists whose rows have to be asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent_runtime.server.errors import ApiError
from agent_runtime.server.paging import page

Row = tuple[str, str]
ROWS: list[Row] = [(f"2026-01-01T00:00:{n // 2:02}Z", f"run-{n:02}") for n in reversed(range(50))]


class Selection:
    """Keeps the rows whose number is a multiple, and notes how many it was given."""

    def __init__(self, multiple: int) -> None:
        self._multiple = multiple
        self.given: list[int] = []

    async def __call__(self, rows: Sequence[Row]) -> list[Row]:
        self.given.append(len(rows))
        return [row for row in rows if int(row[1][-2:]) % self._multiple == 0]


def key(row: Row) -> tuple[str, ...]:
    return row


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [1, 3, 10, 49, 50, 51, 200])
@pytest.mark.parametrize("multiple", [1, 7, 60])
async def test_the_pages_together_are_all_that_is_selected(limit: int, multiple: int) -> None:
    query, found = {"limit": str(limit)}, list[Row]()
    while True:
        select = Selection(multiple)
        rows, meta = await page(ROWS, query, key=key, select=select)
        found += rows
        assert len(rows) <= limit and max(select.given, default=0) <= limit + 1
        if not meta["hasMore"]:
            break
        assert len(rows) == limit
        query = query | {"cursor": meta["nextCursor"]}
    assert meta["nextCursor"] is None
    assert found == await Selection(multiple)(ROWS)


@pytest.mark.anyio
async def test_nothing_is_asked_for_once_the_page_is_full() -> None:
    select = Selection(1)
    await page(ROWS, {"limit": "5"}, key=key, select=select)
    assert select.given == [6]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "field"), [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "?"}, "cursor")]
)
async def test_a_bad_query_names_the_field(query: dict[str, str], field: str) -> None:
    with pytest.raises(ApiError) as error:
        await page(ROWS, query, key=key, select=Selection(1))
    assert error.value.status == 400 and error.value.details == {"field": field}
