"""What a light model is defined with: the functions of pydantic that `base` names, which record their arguments."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from inspect import get_annotations
from typing import Annotated, Any, get_args, get_origin

from agent_runtime.models.checks import Check, check_of, constrained, never

_MISSING: Any = object()
_LIMITS = {"gt", "ge", "lt", "le", "min_length", "max_length", "pattern"}
_UNCHECKED = {"description", "exclude_if", "discriminator", "alias", "validation_alias", "default_factory"}
_IMMUTABLE = (str, int, float, bool, type(None), tuple)


def ConfigDict(**config: Any) -> dict[str, Any]:
    """Return the configuration of a model."""
    return config


class AliasChoices:
    """Several names; a value may be given under any one of them."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices


class FieldArguments:
    """The arguments of a `Field`; `default` is `_MISSING` where there is none."""

    def __init__(self, default: Any, more: Mapping[str, Any]) -> None:
        self.default, self.more = default, more


def Field(default: Any = _MISSING, **more: Any) -> Any:
    """Return the arguments."""
    return FieldArguments(default, more)


class ValidatorArguments:
    """A method that was decorated as a validator: of the `fields`, or of the model where there are none."""

    def __init__(self, method: Any, fields: tuple[str, ...], mode: str) -> None:
        self.method, self.fields, self.mode = method, fields, mode

    def bound(self, model: type) -> Callable[[Any], Any]:
        """Return the validator, which must not need an instance, as a function of one value."""
        function: Callable[[Any], Any] = self.method.__get__(None, model)
        return function


def field_validator(*fields: str, mode: str = "after") -> Callable[[Any], Any]:
    """See pydantic."""
    return lambda method: ValidatorArguments(method, fields, mode)


def model_validator(*, mode: str) -> Callable[[Any], Any]:
    """See pydantic."""
    return lambda method: ValidatorArguments(method, (), mode)


class LightField:
    """A field of a light model.

    Attributes:
        alias: its name in JSON.
        inputs: the names under which its value may be given.
        check: returns a value that is certainly valid, as it is stored; raises Doubt for every other one.
        exclude_if: returns whether the value is left out of dumps.
    """

    def __init__(self, model: type, name: str, text: Any, default: Any, config: Mapping[str, Any]) -> None:
        self.name = name
        names = vars(sys.modules[model.__module__])
        self.annotation = eval(text, names) if isinstance(text, str) else text
        self.given = default
        more = _merged(self.annotation, default)
        generated = config["alias_generator"](name) if "alias_generator" in config else name
        self.alias: str = more.get("alias", generated)
        choices = more.get("validation_alias", self.alias)
        inputs = choices.choices if isinstance(choices, AliasChoices) else (choices,)
        self.inputs: tuple[str, ...] = (*inputs, name) if config.get("populate_by_name") else tuple(inputs)
        self.exclude_if: Callable[[Any], bool] | None = more.get("exclude_if")
        self.default = default.default if isinstance(default, FieldArguments) else default
        self.factory: Callable[[], Any] | None = more.get("default_factory")
        self.check = self._check(more, config)

    def _check(self, more: Mapping[str, Any], config: Mapping[str, Any]) -> Check:
        is_known = more.keys() <= _LIMITS | _UNCHECKED and _is_light(self.annotation)
        has_default = self.default is not _MISSING
        if not is_known or (has_default and not isinstance(self.default, _IMMUTABLE)):
            return never
        limits = {name: value for name, value in getattr(self.given, "more", {}).items() if name in _LIMITS}
        return constrained(check_of(self.annotation, config), limits)

    @property
    def is_required(self) -> bool:
        """Whether it has no default."""
        return self.default is _MISSING and self.factory is None

    def default_value(self) -> Any:
        """Return the default."""
        return self.factory() if self.factory else self.default


def _merged(annotation: Any, default: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if get_origin(annotation) is Annotated:
        for each in get_args(annotation)[1:]:
            found |= getattr(each, "more", {})
    return found | getattr(default, "more", {})


def _is_light(annotation: Any) -> bool:
    """Return whether the annotation contains nothing that only pydantic can apply."""
    if get_origin(annotation) is Annotated:
        base, *more = get_args(annotation)
        return all(isinstance(each, FieldArguments) for each in more) and _is_light(base)
    return all(_is_light(each) for each in get_args(annotation) if not isinstance(each, str))


def fields_of(model: type, config: Mapping[str, Any]) -> dict[str, LightField]:
    """Return the fields of a model and its bases, in order, by name."""
    found: dict[str, LightField] = {}
    for base in reversed(model.__mro__):
        defaults: Mapping[str, Any] | None = base.__dict__.get("_defaults")
        if defaults is None:
            continue  # `LightModel` and its bases
        for name, text in get_annotations(base).items():
            if name != "model_config" and not is_class_variable(text):
                default = defaults.get(name, _MISSING)
                found[name] = LightField(base, name, text, default, config)
    return found


def is_missing(value: object) -> bool:
    """Return whether the value says that a field has no default."""
    return value is _MISSING


def is_class_variable(annotation: Any) -> bool:
    """Return whether an annotation, evaluated or not, is that of an attribute of the class."""
    return str(annotation).startswith(("ClassVar", "typing.ClassVar"))


def plain_default(value: Any) -> bool:
    """Return whether an attribute of a class body is the default of a field, not a method."""
    return not isinstance(value, types.FunctionType | classmethod | staticmethod | property)
