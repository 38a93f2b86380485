"""The names of pydantic that models may use: pydantic's own, or those of the light models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_runtime.models import are_light

if TYPE_CHECKING or not are_light():
    from pydantic import AliasChoices as AliasChoices
    from pydantic import BaseModel as BaseModel
    from pydantic import ConfigDict as ConfigDict
    from pydantic import Field as Field
    from pydantic import field_validator as field_validator
    from pydantic import model_validator as model_validator
else:
    from agent_runtime.models.fields import AliasChoices as AliasChoices
    from agent_runtime.models.fields import ConfigDict as ConfigDict
    from agent_runtime.models.fields import Field as Field
    from agent_runtime.models.fields import field_validator as field_validator
    from agent_runtime.models.fields import model_validator as model_validator
    from agent_runtime.models.light import LightModel as BaseModel  # noqa: F401
