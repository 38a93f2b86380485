"""`LightModel`: takes the place of pydantic's `BaseModel` in a process that has called `use_light_models`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import get_annotations
from operator import itemgetter
from typing import Any, ClassVar, Literal, Self

from agent_runtime.models.checks import Doubt, never
from agent_runtime.models.dump import Dump, left_out
from agent_runtime.models.fields import (
    LightField,
    ValidatorArguments,
    fields_of,
    is_class_variable,
    plain_default,
)


class _LightClass(type):
    """Looks up what the light classes do not have (`model_json_schema`, ...) in the pydantic model of the class."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        from agent_runtime.models.twin import twin_of

        return getattr(twin_of(cls), name)

    @property
    def model_fields(cls) -> dict[str, LightField]:
        """The fields by name."""
        fields: dict[str, LightField] = cls._fields()
        return fields


_NEW = object.__new__


class LightModel(metaclass=_LightClass):
    """A model whose instances are made without pydantic where their values are certainly valid.

    The slots are those of pydantic's models: its validators may make the instances.
    """

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")

    model_config: ClassVar[Mapping[str, Any]] = {}
    _validators: tuple[ValidatorArguments, ...] = ()
    _foreign: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        cls.model_config = {**cls.model_config, **cls.__dict__.get("model_config", {})}
        names = get_annotations(cls)
        own, defaults, foreign = [], {}, {}
        for name, value in list(cls.__dict__.items()):
            if isinstance(value, ValidatorArguments):
                own.append(value)
            elif type(value).__module__.startswith("pydantic."):
                foreign[name] = value
            if name in names and plain_default(value) and not is_class_variable(names[name]):
                defaults[name] = value
                delattr(cls, name)
        cls._validators = (*cls._validators, *own)
        cls._foreign = {**cls._foreign, **foreign}
        cls._defaults = defaults  # type: ignore[attr-defined]

    @classmethod
    def _fields(cls) -> dict[str, LightField]:
        """Return the fields by name; the first call evaluates the annotations."""
        found: dict[str, LightField] | None = cls.__dict__.get("_own_fields")
        if found is None:
            found = fields_of(cls, cls.model_config)
            if cls._foreign:
                for field in found.values():
                    field.check = never
            inputs = {name: field for field in found.values() for name in field.inputs}
            cls._inputs = inputs  # type: ignore[attr-defined]
            cls._own_fields = found  # type: ignore[attr-defined]
        return found

    @classmethod
    def _accept(cls, given: dict[str, Any]) -> Self:
        """Return the instance for values that are certainly valid. Raises Doubt."""
        fields = cls._fields()
        if cls._foreign:
            raise Doubt
        try:
            return cls._made(fields, given)
        except Doubt:
            raise
        except Exception as error:  # raised by a validator: pydantic reports it in its own form
            raise Doubt from error

    @classmethod
    def _made(cls, fields: Mapping[str, LightField], given: dict[str, Any]) -> Self:
        for each in cls._validators:
            if each.mode == "before" and not each.fields:
                given = each.bound(cls)(given)
        found = cls._found(given)
        for each in cls._validators:
            for name in each.fields:
                if name in found and each.mode == "after":
                    found[name] = each.bound(cls)(found[name])
        state = {name: found[name] if name in found else _default(field) for name, field in fields.items()}
        made: Self = _instance(cls, state, set(found))
        for each in cls._validators:
            if each.mode == "after" and not each.fields and each.method(made) is not made:
                raise Doubt
        return made

    @classmethod
    def _found(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return the values by the names of their fields, checked."""
        inputs: Mapping[str, LightField] = cls._inputs
        before = [each for each in cls._validators if each.mode == "before" and each.fields]
        found: dict[str, Any] = {}
        for key, value in given.items():
            field = inputs.get(key)
            if field is None:
                if cls.model_config.get("extra") != "ignore":
                    raise Doubt
                continue
            if field.name in found:
                raise Doubt  # given twice
            for each in before:
                if field.name in each.fields:
                    value = each.bound(cls)(value)
            found[field.name] = field.check(value)
        return found

    def __init__(self, /, **values: Any) -> None:
        try:
            made = self._accept(values)
        except Doubt:
            from agent_runtime.models.twin import adapter_of

            made = adapter_of(type(self)).validate_python(values)
        _fill(self, made.__dict__, made.__pydantic_fields_set__)  # type: ignore[attr-defined]

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """See pydantic."""
        if type(obj) is cls and not options:
            return obj
        try:
            if type(obj) is not dict or options:
                raise Doubt
            return cls._accept(obj)
        except Doubt:
            pass
        from agent_runtime.models.twin import adapter_of

        made: Self = adapter_of(cls).validate_python(obj, **options)
        return made

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> Self:
        """See pydantic."""
        from agent_runtime.models.twin import adapter_of

        made: Self = adapter_of(cls).validate_json(json_data)
        return made

    def model_dump(
        self,
        *,
        mode: Literal["json", "python"] = "python",
        include: Any = None,
        exclude: Any = None,
        by_alias: bool = False,
        exclude_none: bool = False,
        exclude_defaults: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """See pydantic."""
        options: dict[str, Any] = {
            "by_alias": by_alias,
            "exclude_none": exclude_none,
            "exclude_defaults": exclude_defaults,
        }
        try:
            if more or self._foreign:
                raise Doubt
            return Dump(json=mode == "json", **options).model(self, 0, left_out(include, exclude))
        except Doubt:
            from agent_runtime.models.twin import adapter_of

            dumped: dict[str, Any] = adapter_of(type(self)).dump_python(
                self, mode=mode, include=include, exclude=exclude, **options, **more
            )
            return dumped

    def model_dump_json(self, **options: Any) -> str:
        """See pydantic."""
        from agent_runtime.models.twin import adapter_of

        return adapter_of(type(self)).dump_json(self, **options).decode()

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """See pydantic; a copy is not deep."""
        changes = update or {}
        given: set[str] = self.__pydantic_fields_set__  # type: ignore[attr-defined]
        made: Self = _instance(type(self), {**self.__dict__, **changes}, {*given, *changes})
        return made

    @property
    def model_fields_set(self) -> set[str]:
        """The fields whose values were given."""
        given: set[str] = self.__pydantic_fields_set__  # type: ignore[attr-defined]
        return given

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        fields = tuple(self._fields())
        return hash(itemgetter(*fields)(self.__dict__)) if fields else hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.__dict__.items()

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(f"{type(self).__name__} is immutable: {name} cannot be set")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from agent_runtime.models.twin import core_schema

        return core_schema(cls, handler)


_SET_STATE = LightModel.__dict__["__dict__"].__set__
_SET_GIVEN = LightModel.__dict__["__pydantic_fields_set__"].__set__
_SET_EXTRA = LightModel.__dict__["__pydantic_extra__"].__set__
_SET_PRIVATE = LightModel.__dict__["__pydantic_private__"].__set__


def _fill(instance: Any, state: dict[str, Any], given: set[str]) -> None:
    _SET_STATE(instance, state)
    _SET_GIVEN(instance, given)
    _SET_EXTRA(instance, None)
    _SET_PRIVATE(instance, None)


def _instance(cls: Any, state: dict[str, Any], given: set[str]) -> Any:
    made = _NEW(cls)
    _fill(made, state, given)
    return made


def _default(field: LightField) -> Any:
    if field.is_required:
        raise Doubt
    return field.default_value()
