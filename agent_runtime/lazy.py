"""Dataclasses and regular expressions that are completed when they are first used, which halves the start-up.

`dataclasses.dataclass` compiles five methods for each class, and a program with 150 of them waits 70 ms for it. A run
makes instances of few of them before its first request.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, AnyStr, cast

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, **options):
        """Do what `dataclasses.dataclass` does, at the first instance or the first look at the fields.

        `slots` is not supported: it makes another class.
        """
        if cls is None:
            return lambda cls: dataclass(cls, **options)
        _Completion(cls, options)
        return cls


_FIELDS = "__dataclass_fields__"
_lock = RLock()


class _Completion:
    """Completes one class. Until then it stands for the fields of the class, and a function for its `__init__`."""

    def __init__(self, cls: type, options: dict[str, Any]) -> None:
        if options.get("slots") or "__init__" in cls.__dict__:
            raise TypeError("a lazy dataclass has no slots and no __init__: use dataclasses.dataclass")
        self._class, self._options = cls, options
        self._is_complete = False

        def first_init(instance: object, /, *args: Any, **values: Any) -> None:
            self._complete()
            cls.__init__(instance, *args, **values)  # type: ignore[misc]

        setattr(cls, _FIELDS, self)
        cls.__init__ = first_init  # type: ignore[misc]

    def __get__(self, instance: object, owner: type) -> Any:
        self._complete()
        return getattr(owner, _FIELDS)

    def _complete(self) -> None:
        """Have `dataclasses` add its methods. It looks at the fields of base classes, which completes those."""
        with _lock:
            if not self._is_complete:
                self._is_complete = True
                cls: type = dataclasses.dataclass(**self._options | {"init": False})(self._class)
                # `__init__` is made in a class below, and put in place last: other threads may call it meanwhile
                names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
                below: type = type(cls.__name__, (cls,), names)
                below = dataclasses.dataclass(**self._options | {"eq": False, "repr": False})(below)
                cls.__init__ = below.__init__  # type: ignore[misc]


def lazy_pattern(source: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` returns, but compiled at the first use of one of its attributes.

    It has the methods of a pattern; functions of `re` do not take it as one.
    """
    return cast("re.Pattern[AnyStr]", _Pattern(partial(re.compile, source, flags)))


class _Pattern:
    def __init__(self, compiled: Callable[[], object]) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._compiled(), name)
        setattr(self, name, value)  # found without this method from now on
        return value
