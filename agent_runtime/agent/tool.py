"""The interface of a tool: its parameters, its context, and its output.

A tool is one file in `tools/`, named after the tool, with a module-level `TOOL`. It uses the services of its
`ToolContext` and imports none of their implementations. To add a tool, add a file; see CONTRIBUTING.md.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from agent_runtime.agent.model import ToolSpec
from agent_runtime.agent.services import (
    DevServerService,
    FileService,
    OnOutput,
    SearchService,
    SessionService,
    ShellService,
    UserService,
)
from agent_runtime.errors import ToolError
from agent_runtime.lazy import dataclass
from agent_runtime.models.base import BaseModel, ConfigDict, model_validator
from agent_runtime.protocol.tool_output import ToolOutput

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["FunctionTool", "Params", "Tool", "ToolContext", "ToolOutput", "explain"]


class Params(BaseModel):
    """Base class of a tool's parameters.

    Unknown fields are refused with an explanation that the model can act on. A parameter that is null counts as not
    given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    # parameters that are accepted without effect: models send them because other versions of the tool have them
    ignored: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given  # of a nested model: it is refused
        return {name: value for name, value in given.items() if name not in cls.ignored and value is not None}


P = TypeVar("P", bound=Params)


@dataclass
class ToolContext:
    """The context of a tool call. Blocking work in a tool must run in a thread (`anyio.to_thread`)."""

    call_id: str
    workspace: Path
    shell: ShellService
    sessions: SessionService
    files: FileService
    search: SearchService
    servers: DevServerService
    user: UserService
    turn: int = 0
    tool_timeout: float | None = None  # seconds; the run's default for tools that take a timeout
    output_tokens: int = 10_000  # the maximum output for the model
    on_output: OnOutput | None = None  # called with output as it arrives (tool_output_delta)


class Tool(Protocol):
    """A tool that the model can call."""

    @property
    def name(self) -> str:
        """The name that the model uses; the same as the name of its file."""
        ...

    @property
    def scans(self) -> bool:
        """Whether it may change files other than through the editor: the workspace is scanned after each call."""
        ...

    @property
    def parallel(self) -> bool:
        """Whether it may run concurrently with other calls of the same turn."""
        ...

    def spec(self) -> ToolSpec:
        """Return the description for the model."""
        ...

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Run the tool. Raises ToolError for failures that the model can react to, such as invalid arguments.

        It is cancelled by anyio's cancellation; the tool ends what it started before it returns.
        """
        ...


@dataclass(frozen=True)
class FunctionTool(Generic[P]):
    """A tool made of a pydantic model for its parameters and an async function.

    Args:
        name: the name that the model uses.
        description: the description for the model (prompts/tools/NAME.md).
        params: the model of its parameters; field descriptions become part of the JSON Schema.
        run: the function that implements it. May raise ToolError.
        scans: see Tool.
        parallel: see Tool.
        native: the tool object to send instead of the function, by wire format.
    """

    name: str
    description: str
    params: type[P]
    run: Callable[[P, ToolContext], Awaitable[ToolOutput]]
    scans: bool = False
    parallel: bool = True
    native: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    def spec(self) -> ToolSpec:
        """Return the description for the model."""
        return ToolSpec(self.name, self.description, parameters_schema(self.params), dict(self.native))

    async def call(self, input: Mapping[str, Any], ctx: ToolContext) -> ToolOutput:
        """Validate the arguments and run the function. Raises ToolError."""
        try:
            params = self.params.model_validate(dict(input))
        except ValueError as error:
            from pydantic import ValidationError  # it has been imported to find the error

            if not isinstance(error, ValidationError):
                raise
            raise ToolError(explain(self.name, error, self.params)) from error
        return await self.run(params, ctx)


def explain(name: str, error: ValidationError, params: type[BaseModel]) -> str:
    """Return a message about invalid arguments: what is wrong with each field, and the schema that is expected."""
    wrong = [
        f"- {'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}"
        for e in error.errors(include_url=False)
    ]
    expected = json.dumps(parameters_schema(params), separators=(",", ":"))
    return f"Invalid arguments for {name}:\n" + "\n".join(wrong) + f"\nExpected JSON Schema: {expected}"


def parameters_schema(params: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of parameters in its shortest form, to save tokens.

    It has no titles and no description of the whole, definitions stand where they are used, an optional parameter may
    be left out but not be null, and `additionalProperties: false` is left out.
    """
    schema = params.model_json_schema()
    short: dict[str, Any] = _shortened(schema, schema.pop("$defs", {}))
    short.pop("description", None)
    return short


def _shortened(schema: Any, definitions: Mapping[str, Any], names: bool = False) -> Any:
    # `names`: the keys of this object are names of properties, and one of them may be "title"
    if isinstance(schema, list):
        return [_shortened(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if names:
        return {name: _shortened(value, definitions) for name, value in schema.items()}
    if reference := schema.get("$ref"):
        target = {
            name: value
            for name, value in definitions[reference.rpartition("/")[2]].items()
            if name != "description"
        }
        return _shortened(
            target | {name: value for name, value in schema.items() if name != "$ref"}, definitions
        )
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1 and len(schema["anyOf"]) == 2 and schema.get("default", ...) is None:
        rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
        return _shortened(branches[0] | rest, definitions)
    return {
        name: _shortened(value, definitions, names=name == "properties")
        for name, value in schema.items()
        if name not in ("title", "additionalProperties")
    }
