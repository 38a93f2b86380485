"""Names of queues, and texts as parts of subjects."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.errors import RequestError
from agent_runtime.fleet.names import Queue, token

TEXTS = st.text(st.characters(), min_size=1)


@given(TEXTS, TEXTS)
def test_different_texts_are_different_parts_of_a_subject(one: str, other: str) -> None:
    assert re.fullmatch("[A-Za-z0-9_=-]+", token(one))
    assert (token(one) == token(other)) == (one == other)


def test_a_device_has_subjects_of_its_own() -> None:
    queue = Queue.parse("device:Mac.of.Ann > *")
    assert queue.is_device
    names = [
        queue.work(),
        queue.events("r.1"),
        queue.control("r.1"),
        queue.part("r.1:0", 0),
        queue.dead(),
        queue.presence("x"),
    ]
    assert all("device.Mac=2Eof=2EAnn=20=3E=20=2A" in name for name in names)
    assert not any(set(name) & set("*> ") for name in names)


@pytest.mark.parametrize("name", ["", "device", "device:", "a.b", "a b", "*", "x_y", "pool:1", "-a"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="--queue: expected a name"):
        Queue.parse(name)
