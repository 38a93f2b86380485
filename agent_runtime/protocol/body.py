"""The base class of the models of a request, and the types of their fields."""

from __future__ import annotations

from typing import Annotated

from agent_runtime.models.base import BaseModel, ConfigDict, Field
from agent_runtime.models.names import to_camel

Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Count = Annotated[int, Field(ge=1, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
PathName = Annotated[str, Field(min_length=1, max_length=4096)]  # PATH_MAX

URL_PATTERN = r"^https?://"


class Body(BaseModel):
    """Base class of the models: immutable, camelCase or snake_case in JSON, unknown fields are left out."""

    # strict: "5" is not accepted as a number nor 1 as a boolean; a caller that sends them has made a mistake
    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        defer_build=True,
        allow_inf_nan=False,
    )
