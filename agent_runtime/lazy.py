"""Dataclasses, regular expressions and other objects that are completed at their first use: a short start-up.

`dataclasses.dataclass` compiles up to seven methods for each class, 0.5 ms, and this program has 150 of them. Here a
class is completed when its first instance is made, and only its `__init__` is compiled; the other methods are shared.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, AnyStr, TypeVar, cast

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True):
        """Do what `dataclasses.dataclass` does, at the first instance or the first look at the fields.

        Raises TypeError for a class with an `__init__` of its own.
        """
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, eq=eq)
        _Completion(cls, frozen=frozen, eq=eq)
        return cls


T = TypeVar("T")

_FIELDS, _PARAMS = "__dataclass_fields__", "__dataclass_params__"
_lock = RLock()
_incomplete: list[Callable[[], object]] = []  # completes a class or a pattern each


class _Completion:
    """Completes one class. Until then it stands for the fields of the class, and a function for its `__init__`."""

    def __init__(self, cls: type, *, frozen: bool, eq: bool) -> None:
        if "__init__" in cls.__dict__:
            raise TypeError("a lazy dataclass has no __init__: use dataclasses.dataclass")
        self._class, self._frozen, self._eq = cls, frozen, eq
        self._is_complete = False

        def first_init(instance: object, /, *args: Any, **values: Any) -> None:
            self._complete()
            cls.__init__(instance, *args, **values)  # type: ignore[misc]

        setattr(cls, _FIELDS, self)
        cls.__init__ = first_init  # type: ignore[misc]
        _incomplete.append(self._complete)

    def __get__(self, instance: object, owner: type) -> Any:
        self._complete()
        return getattr(owner, _FIELDS)

    def _complete(self) -> None:
        with _lock:
            if self._is_complete:
                return
            cls = self._class
            fields, params = self._fields()
            names = [name for name, field in fields.items() if _is_field(field)]
            methods = _shared_methods(cls, names, fields, frozen=self._frozen, eq=self._eq)
            for name, method in methods.items():
                if name not in cls.__dict__:
                    setattr(cls, name, method)
            setattr(cls, _FIELDS, fields)
            setattr(cls, _PARAMS, params)
            self._is_complete = True
            # last: other threads, which find `first_init` until now, may make instances as soon as this is there
            cls.__init__ = _init(cls, [fields[name] for name in names], frozen=self._frozen)  # type: ignore[misc]

    def _fields(self) -> tuple[dict[str, Any], Any]:
        """Return the fields with those of the bases, and the parameters. `dataclasses` makes them, of a bare class."""
        cls = self._class
        annotations = inspect.get_annotations(cls)
        own = {name: cls.__dict__[name] for name in annotations if name in cls.__dict__}
        bare = type(
            cls.__name__,
            (),
            {"__module__": cls.__module__, "__annotations__": annotations, "__doc__": "", **own},
        )
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(bare)
        for name, value in own.items():  # what `field()` returned is replaced by the default
            if isinstance(value, dataclasses.Field):
                if hasattr(made, name):
                    setattr(cls, name, getattr(made, name))
                else:
                    delattr(cls, name)
        fields: dict[str, Any] = {}
        for base in reversed(cls.__mro__[1:]):
            fields |= getattr(base, _FIELDS, {})  # completes it
        params = getattr(made, _PARAMS)
        params.init = params.repr = True
        params.eq, params.frozen = self._eq, self._frozen
        return fields | getattr(made, _FIELDS), params


def _is_field(field: Any) -> bool:
    """Return whether it is a field, not a `ClassVar`."""
    return field._field_type is dataclasses._FIELD  # type: ignore[attr-defined]


def _shared_methods(
    cls: type[Any], names: list[str], fields: Mapping[str, Any], *, frozen: bool, eq: bool
) -> dict[str, Any]:
    compared = [name for name in names if fields[name].compare]
    hashed = [
        name for name in names if (fields[name].compare if fields[name].hash is None else fields[name].hash)
    ]
    printed = [name for name in names if fields[name].repr]

    def values(instance: object, of: list[str]) -> tuple[Any, ...]:
        return tuple([getattr(instance, name) for name in of])

    def __eq__(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self, compared) == values(other, compared)

    def __hash__(self: Any) -> int:
        return hash(values(self, hashed))

    def __repr__(self: Any) -> str:
        texts = ", ".join(f"{name}={getattr(self, name)!r}" for name in printed)
        return f"{self.__class__.__qualname__}({texts})"

    def __setattr__(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    methods: dict[str, Any] = {
        "__repr__": __repr__,
        "__match_args__": tuple(name for name in names if fields[name].init and not fields[name].kw_only),
    }
    if eq:
        methods |= {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}
    if frozen:
        methods |= {"__setattr__": __setattr__, "__delattr__": __delattr__}
    return methods


def _init(cls: type, fields: list[Any], *, frozen: bool) -> Any:
    """Compile the `__init__` of a class."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_missing": dataclasses.MISSING}
    positional, lines = ["self"], []
    by_name: list[str] = []
    for field in fields:
        name, value = field.name, field.name
        if field.default_factory is not dataclasses.MISSING:
            known[f"_make_{name}"], known[f"_default_{name}"] = field.default_factory, dataclasses.MISSING
            value = f"_make_{name}() if {name} is _missing else {name}" if field.init else f"_make_{name}()"
        elif field.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = field.default
        if field.init:
            default = f"=_default_{name}" if f"_default_{name}" in known else ""
            (by_name if field.kw_only else positional).append(f"{name}{default}")
        elif field.default_factory is dataclasses.MISSING:
            continue  # the attribute of the class, or set by `__post_init__`
        lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join(positional + (["*", *by_name] if by_name else []))
    exec(f"def __init__({parameters}):\n " + "\n ".join(lines or ["pass"]), known)
    made = known["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return made


def lazy_pattern(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` returns, but compiled at the first use of one of its attributes.

    For the constants of modules: see `complete_all`. It has the methods of a pattern; functions of `re` do not take it
    as one.
    """
    pattern = _Deferred(partial(re.compile, source, flags))
    _incomplete.append(pattern._complete)
    return cast("re.Pattern[AnyStr]", pattern)


def deferred(build: Callable[[], T]) -> T:
    """Return an object that is built at the first use of one of its attributes. It is not an instance of the class.

    An exception of `build` is raised by each use until it succeeds.
    """
    return cast("T", _Deferred(build))


class _Deferred:
    def __init__(self, build: Callable[[], object]) -> None:
        self._build = build
        self._lock = RLock()
        self._built: list[object] = []

    def _complete(self) -> object:
        with self._lock:
            if not self._built:
                self._built.append(self._build())
        return self._built[0]

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._complete(), name)
        if callable(value):
            setattr(self, name, value)  # found without this method from now on
        return value


def complete_all() -> None:
    """Complete all classes and patterns of the modules that are imported, as for a process that is forked often: what a
    fork completes itself costs it the time, and memory that it does not share.
    """
    while _incomplete:
        _incomplete.pop()()
