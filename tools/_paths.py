"""Path parameters of the tools, with the names that different models use for them."""

from __future__ import annotations

from typing import Annotated

from agent_runtime.models.base import AliasChoices, Field

FilePath = Annotated[
    str,
    Field(
        validation_alias=AliasChoices("path", "file_path", "filename"),
        description="Absolute, or relative to the workspace.",
    ),
]
FolderPath = Annotated[
    str,
    Field(
        validation_alias=AliasChoices("path", "directory", "dir_path"),
        description="Absolute, or relative to the workspace. Default: the workspace.",
    ),
]
