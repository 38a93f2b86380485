"""The pydantic model of a light class, made when it is first needed. Its validator makes instances of the class."""

from __future__ import annotations

import types
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Union, get_args, get_origin

import pydantic
from pydantic import TypeAdapter

from agent_runtime.models.fields import (
    AliasChoices,
    FieldArguments,
    LightField,
    ValidatorArguments,
    is_missing,
)


@cache
def adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """Return the validator and serializer of a light class or another type. Making one takes milliseconds."""
    return TypeAdapter(annotation)


@cache
def twin_of(model: Any) -> type[pydantic.BaseModel]:
    """Return a pydantic model with the fields, the validators and the configuration of a light class."""
    body: dict[str, Any] = {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
        "__annotations__": {},
        "model_config": {**model.model_config, "defer_build": False},
    }
    for name, field in model._fields().items():
        body["__annotations__"][name] = _pydantic(field.annotation)
        default = _default(field)
        if not is_missing(default):
            body[name] = default
    for index, validator in enumerate(model._validators):
        body[f"validate_{index}"] = _validator(model, validator)
    body |= {name: value for name, value in model._foreign.items() if name not in body}
    metaclass: Any = type(pydantic.BaseModel)
    made: type[pydantic.BaseModel] = metaclass(model.__name__, (pydantic.BaseModel,), body)
    return made


def core_schema(model: Any, handler: Any) -> Any:
    """Return the core schema of the twin, whose instances are those of the light class."""
    schema = handler.generate_schema(twin_of(model))
    inner = handler.resolve_ref_schema(schema)
    while inner["type"] != "model":  # validators are around it
        inner = inner["schema"]
    inner["cls"] = model
    return schema


def _default(field: LightField) -> Any:
    if isinstance(field.given, FieldArguments):
        return _field(field.given)
    return field.given


def _field(arguments: FieldArguments) -> Any:
    more = dict(arguments.more)
    if isinstance(more.get("validation_alias"), AliasChoices):
        more["validation_alias"] = pydantic.AliasChoices(*more["validation_alias"].choices)
    return (
        pydantic.Field(**more) if is_missing(arguments.default) else pydantic.Field(arguments.default, **more)
    )


def _validator(model: type, validator: ValidatorArguments) -> Any:
    if not validator.fields and validator.mode == "after":
        return pydantic.model_validator(mode="after")(validator.method)

    def call(cls: type, value: Any) -> Any:
        return validator.bound(model)(value)

    decorate: Any = (
        pydantic.field_validator(*validator.fields, mode=validator.mode)  # type: ignore[call-overload]
        if validator.fields
        else pydantic.model_validator(mode=validator.mode)  # type: ignore[call-overload]
    )
    return decorate(classmethod(call))


def _pydantic(annotation: Any) -> Any:
    """Return an annotation with pydantic's fields in place of their recorded arguments."""
    origin: Any = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        base, *more = arguments
        made = [_field(each) if isinstance(each, FieldArguments) else each for each in more]
        return Annotated[(_pydantic(base), *made)]
    if origin in (Union, types.UnionType):
        return reduce(or_, map(_pydantic, arguments))
    if origin in (tuple, list, dict):
        generic: Any = origin
        return generic[tuple(each if each is ... else _pydantic(each) for each in arguments)]
    return annotation
