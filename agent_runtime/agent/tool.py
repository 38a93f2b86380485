"""The interface of a tool: what it is called with and what it returns.

A tool is one file in `tools/`, named after the tool, with a module-level `TOOL`. It uses the services of its
`ToolContext` and imports no implementation. To add a tool, add a file; see the README.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.services import (
    DevServerService,
    FileService,
    OnOutput,
    SearchService,
    SessionService,
    ShellService,
)
from agent_runtime.errors import ToolError
from agent_runtime.protocol.tool_output import ToolOutput

__all__ = ["FunctionTool", "Params", "Tool", "ToolContext", "ToolOutput", "explain"]


class Params(BaseModel):
    """Base of every tool's parameters. Unknown fields are refused with an explanation that the model can act on; null
    stands for a parameter that is not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    ignored: ClassVar[frozenset[str]] = (
        frozenset()
    )  # fields that models give which know the tool with more of them

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name not in cls.ignored and value is not None}


P = TypeVar("P", bound=Params)


@dataclass
class ToolContext:
    """What every call is given. Anything slow or blocking in a tool runs in a thread (`anyio.to_thread`)."""

    call_id: str
    workspace: Path
    shell: ShellService
    sessions: SessionService
    files: FileService
    search: SearchService
    servers: DevServerService
    tool_timeout: float | None = None  # seconds; the run's default for tools that take a timeout
    output_tokens: int = 10_000  # at most so many tokens of output reach the model
    on_output: OnOutput | None = None  # pieces as they arrive (tool_output_delta)


class Tool(Protocol):
    """A tool of the model's."""

    @property
    def name(self) -> str:
        """The name the model calls it by; the same as its file's."""
        ...

    @property
    def scans(self) -> bool:
        """May it change files behind the edit engine's back? Then the workspace is looked over after it."""
        ...

    @property
    def parallel(self) -> bool:
        """May it run beside the other calls of its turn?"""
        ...

    def spec(self) -> ToolSpec:
        """How the model is told about it."""
        ...

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Run it. Raises ToolError for what the model can react to, bad arguments included.

        Cancellation is anyio's: the caller cancels the scope; the tool ends what it started before it lets go.
        """
        ...


@dataclass(frozen=True)
class FunctionTool(Generic[P]):
    """A tool made of a pydantic model for its parameters and an async function.

    Args:
        name: as the model calls it.
        description: what the model reads (prompts/tools/NAME.md).
        params: its parameters; field descriptions go into the JSON Schema.
        run: the work.
        scans: see Tool.
        parallel: see Tool.
        native: wire format -> the tool object to send in the function's place.
    """

    name: str
    description: str
    params: type[P]
    run: Callable[[P, ToolContext], Awaitable[ToolOutput]]
    scans: bool = False
    parallel: bool = True
    native: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def spec(self) -> ToolSpec:
        """The JSON Schema of the parameters, without pydantic's titles: the model pays for every token."""
        schema = _without_titles(self.params.model_json_schema())
        return ToolSpec(self.name, self.description, schema, dict(self.native))

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Check the arguments, then run."""
        try:
            params = self.params.model_validate(dict(input))
        except ValidationError as error:
            raise ToolError(explain(self.name, error, self.params)) from error
        return await self.run(params, ctx)


def explain(name: str, error: ValidationError, params: type[BaseModel]) -> str:
    """What is wrong with a call's arguments, field by field, and what the tool expects."""
    wrong = [
        f"- {'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}"
        for e in error.errors(include_url=False)
    ]
    expected = json.dumps(_without_titles(params.model_json_schema()), separators=(",", ":"))
    return f"Invalid arguments for {name}:\n" + "\n".join(wrong) + f"\nExpected JSON Schema: {expected}"


def _without_titles(schema: Any, names: bool = False) -> Any:
    # `names`: the keys of this object are names of properties, and one of them may be "title"
    if isinstance(schema, dict):
        kept = ((k, v) for k, v in schema.items() if names or k != "title")
        return {k: _without_titles(v, not names and k == "properties") for k, v in kept}
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    return schema
