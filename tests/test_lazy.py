"""Dataclasses and patterns that are completed at their first use behave as those that are complete from the start."""

from __future__ import annotations

import copy
import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from agent_runtime import lazy
from agent_runtime.lazy import deferred, lazy_pattern


def classes(decorator: Any) -> tuple[Any, Any, Any]:
    """A class, one that adds fields to it, and a plain class below both, by lazy or complete dataclasses."""

    @decorator(frozen=True)
    class Point:
        """A point."""

        x: int
        y: list[int] = dataclasses.field(default_factory=list)

    @decorator(frozen=True)
    class Named(Point):
        """A point with a name."""

        name: str = "origin"

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError(self.x)

    class Origin(Named):
        def __init__(self) -> None:
            super().__init__(0)  # type: ignore[call-arg]

    return Point, Named, Origin


def outcome(call: Any) -> object:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


USES = {
    "positional": lambda point, named, origin: repr(named(1, [2])),
    "by name": lambda point, named, origin: repr(named(x=1, name="a")),
    "defaults are not shared": lambda point, named, origin: point(1).y is point(1).y,
    "equal": lambda point, named, origin: (point(1) == point(1), point(1) == point(2), named(1) == point(1)),
    "no argument": lambda point, named, origin: point(),
    "an unknown argument": lambda point, named, origin: point(1, z=2),
    "post-init": lambda point, named, origin: named(-1),
    "a class below": lambda point, named, origin: repr(origin()),
    "assignment": lambda point, named, origin: setattr(origin(), "x", 3),
    "replace": lambda point, named, origin: repr(dataclasses.replace(named(1), name="b")),
    "fields": lambda point, named, origin: [field.name for field in dataclasses.fields(named)],
    "is a dataclass": lambda point, named, origin: dataclasses.is_dataclass(point),
    "as a dictionary": lambda point, named, origin: dataclasses.asdict(origin()),
    "copy": lambda point, named, origin: repr(copy.deepcopy(named(1, [2]))),
    "the hash": lambda point, named, origin: hash(point(1)) == hash(point(1)),  # a list has none
    "match by position": lambda point, named, origin: named(1) and named.__match_args__,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_lazy_dataclass_behaves_as_one(use: Any) -> None:
    assert outcome(lambda: use(*classes(lazy.dataclass))) == outcome(
        lambda: use(*classes(dataclasses.dataclass))
    )


def test_threads_that_make_the_first_instances_all_get_one() -> None:
    def first(point: Any, barrier: Barrier) -> object:
        barrier.wait()
        return point(1).x

    with ThreadPoolExecutor(8) as threads:
        for _ in range(50):
            _, named, _ = classes(lazy.dataclass)
            barrier = Barrier(8)
            assert list(threads.map(first, [named] * 8, [barrier] * 8)) == [1] * 8


def test_a_class_with_an_init_of_its_own_is_refused() -> None:
    class Own:
        def __init__(self) -> None:
            self.x = 1

    with pytest.raises(TypeError, match=r"use dataclasses\.dataclass"):
        lazy.dataclass(Own)


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"eq": False}, {"eq": False, "frozen": True}])
def test_every_kind_of_field_is_kept(options: dict[str, bool]) -> None:
    def made(decorator: Any) -> Any:
        @decorator(**options)
        class Kinds:
            plain: int
            default: str = "d"
            of_class: ClassVar[list[int]] = []
            listed: list[int] = dataclasses.field(default_factory=list)
            hidden: int = dataclasses.field(default=1, repr=False, compare=False)
            computed: int = dataclasses.field(init=False)
            made: dict[str, int] = dataclasses.field(init=False, default_factory=dict)
            named: int = dataclasses.field(default=0, kw_only=True)

            def __post_init__(self) -> None:
                object.__setattr__(self, "computed", self.plain * 2)

        return Kinds

    def look(kinds: Any) -> list[object]:
        one, two = kinds(1, named=2), kinds(plain=1, hidden=5, named=2)
        fields = [(field.name, field.init, field.repr, field.kw_only) for field in dataclasses.fields(kinds)]
        return [
            *(
                repr(one),
                one == two,
                one == kinds(2),
                vars(one),
                fields,
                kinds.__match_args__,
                kinds.of_class,
            ),
            *(
                outcome(lambda: hash(kinds) and isinstance(hash(one), int)),
                outcome(lambda: setattr(one, "plain", 3)),
            ),
            *(outcome(lambda: delattr(one, "default")), outcome(lambda: kinds(1, "a", [], 1, 5))),
            *(kinds.default, hasattr(kinds, "listed"), kinds.hidden, str(dataclasses.replace(two, plain=7))),
        ]

    assert look(made(lazy.dataclass)) == look(made(dataclasses.dataclass))


def test_a_pattern_is_compiled_once_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_all_that_is_incomplete_can_be_completed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy, "_incomplete", [])
    point, named, _ = classes(lazy.dataclass)
    pattern = lazy_pattern("B(.)", re.I)
    lazy.complete_all()
    with monkeypatch.context() as patched:
        patched.setattr(lazy._Completion, "_fields", None)  # nothing is left to do
        patched.setattr(re, "compile", None)
        assert point(1) == point(1)
        assert named.__dataclass_fields__.keys() > point.__dataclass_fields__.keys()
        assert pattern.findall("abc") == ["c"]
    lazy.complete_all()
    assert lazy._incomplete == []


def test_a_deferred_object_is_built_once_at_its_first_use() -> None:
    built: list[dict[str, int]] = []

    def build() -> dict[str, int]:
        built.append({"a": 1})
        return built[-1]

    made = deferred(build)
    assert built == []
    assert (made.get("a"), made.get("b"), list(made.keys())) == (1, None, ["a"])
    assert len(built) == 1


def test_a_deferred_object_that_could_not_be_built_is_built_by_the_next_use() -> None:
    outcomes = iter((OSError("once"), "text"))

    def build() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    made = deferred(build)
    with pytest.raises(OSError, match="once"):
        made.upper()
    assert made.upper() == "TEXT"


def test_an_attribute_of_a_deferred_object_that_changes_is_read_each_time() -> None:
    counter = SimpleNamespace(count=1)
    made = deferred(lambda: counter)
    assert made.count == 1
    counter.count = 2
    assert made.count == 2
