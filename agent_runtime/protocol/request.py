"""The request: its models and their validation. The older and the newer form of the body are accepted.

`parse` takes the decoded JSON and raises RequestError, which names the first wrong field in camelCase. Unknown fields
have no effect; their names are returned so that a warning can be logged.
"""

from __future__ import annotations

from typing import Any, Literal

from agent_runtime.errors import RequestError
from agent_runtime.models.base import BaseModel, Field, field_validator, model_validator
from agent_runtime.protocol.body import URL_PATTERN, Body, Count, Name, PathName, Seconds
from agent_runtime.protocol.mcp_server import McpServer
from agent_runtime.protocol.messages import MAX_DEPTH, too_deep
from agent_runtime.protocol.request_errors import URL, given, kind, request_error, with_hint
from agent_runtime.protocol.request_forms import normalise, without_surrogates

_TRACEPARENT = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
IDENTIFIER = r"^[A-Za-z0-9._:-]{1,128}$"
_RUN_ID = r"^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}$"  # also the name of a folder: not `..`, not a hidden one
THREAD_ID = r"^[A-Za-z0-9._-]{1,128}$"
_PATTERNS = {  # what error messages say about them
    URL_PATTERN: URL,
    _TRACEPARENT: "expected a W3C trace context, 00-TRACE_ID-PARENT_ID-FLAGS in lower-case hexadecimal digits",
    IDENTIFIER: "expected 1 to 128 letters, digits, `.`, `_`, `:` or `-`",
    _RUN_ID: "expected 1 to 128 letters, digits, `.`, `_`, `:` or `-`, the first not a `.`",
    THREAD_ID: "expected 1 to 128 letters, digits, `.`, `_` or `-`",
}


class CustomModel(Body):
    """A model at an endpoint that the caller specifies; `format` is the wire format of the endpoint."""

    provider: Name
    endpoint: str | None = Field(default=None, pattern=URL_PATTERN)
    api_key: str | None = None
    format: Literal["openai", "openai-responses", "anthropic"] | None = None
    name: Name


class Config(Body):
    """Limits and settings of a run; seconds for all times, tokens for all sizes."""

    max_turns: Count | None = None
    max_tokens: Count | None = None
    max_total_tokens: Count | None = None
    max_cost: float | None = Field(default=None, gt=0, le=1e9)  # US dollars
    temperature: float | None = Field(default=None, ge=0, le=2)
    timeout: Seconds | None = None
    tool_timeout: Seconds | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    thinking: bool | None = None
    parallel_tools: bool | None = None
    max_retries: int | None = Field(default=None, ge=0, le=100)
    model_timeout: Seconds | None = None
    connect_timeout: Seconds | None = None
    first_token_timeout: Seconds | None = None
    between_tokens_timeout: Seconds | None = None
    tool_output_tokens: Count | None = None


class Mount(Body):
    """Persistent storage that the launcher has mounted."""

    workspace_id: Name
    path: PathName


class Request(Body):
    """The request for one run. A field that is None was not given: the agent definition or a default decides."""

    prompt: str | None = None
    parts: list[Any] | None = None  # of the message whose text is the prompt
    messages: list[dict[str, Any]] | None = None
    agent: Name | None = None
    model: str | CustomModel | list[str | CustomModel] | None = None
    system_prompt: str | None = None
    tools: list[Name] | None = None
    config: Config = Field(default_factory=lambda: Config())
    thread_id: str | None = Field(default=None, pattern=THREAD_ID)
    stream: bool | None = None
    params: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: Any = None
    mounts: list[Mount] = Field(default_factory=list)
    run_id: str | None = Field(default=None, pattern=_RUN_ID)
    sandbox_id: str | None = Field(default=None, pattern=IDENTIFIER)
    rollout_id: Name | None = None
    target_device_id: Name | None = None
    execution_mode: Name | None = None
    env: dict[str, str] = Field(default_factory=dict)
    idempotency_key: Name | None = None
    ask_user: bool = False
    output_schema: dict[str, Any] | None = None
    skills: bool | list[Name] | None = None
    mcp_servers: dict[Name, McpServer] | None = None
    traceparent: str | None = Field(default=None, pattern=_TRACEPARENT)
    # the options of the command line, each also a field
    workspace: PathName | None = None
    state_dir: PathName | None = None
    record: PathName | None = None
    no_record: bool = False
    partial: bool = False
    format: Literal["ndjson", "pretty"] | None = None
    dev_url: Name | None = None
    tool_user: Name | None = None
    confine: bool = False
    track_ignored: bool = False
    heartbeat: Seconds | None = None
    question_timeout: Seconds | None = None
    agents_dir: PathName | None = None
    skills_dir: PathName | None = None
    mcp_config: PathName | None = None
    workspace_mcp: bool = False
    log_level: Literal["debug", "info", "warning", "error"] | None = None

    @field_validator("env")
    @classmethod
    def _env(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"expected names of variables as keys: {name!r} is not a variable name")
            if "\0" in value:
                raise ValueError(f"expected values without NUL characters: that of {name!r} has one")
        return env

    @field_validator(
        "workspace", "state_dir", "record", "tool_user", "agents_dir", "skills_dir", "mcp_config"
    )
    @classmethod
    def _system_name(cls, name: str | None) -> str | None:
        if name is not None and "\0" in name:  # no system call takes it
            raise ValueError(f"expected a string without NUL characters, got {given(name)}")
        return name

    @field_validator("skills", mode="before")
    @classmethod
    def _skills(cls, skills: object) -> object:
        is_list = isinstance(skills, list) and all(isinstance(name, str) and name for name in skills)
        if skills is not None and not isinstance(skills, bool) and not is_list:
            raise RequestError("skills", f"expected true, false, or a list of names, got {given(skills)}")
        return skills

    @model_validator(mode="after")
    def _has_a_task(self) -> Request:
        if self.prompt is None and self.messages is None:
            raise RequestError("prompt", "required: the user's task as a string, unless `messages` is given")
        if self.prompt is not None and not self.prompt.strip():
            raise RequestError("prompt", "expected a non-empty string")
        if self.prompt is None and not self.messages:
            raise RequestError("messages", "expected at least one message when there is no prompt")
        return self

    @property
    def models(self) -> list[str | CustomModel]:
        """The models to use, in order of preference."""
        if self.model is None:
            return []
        return list(self.model) if isinstance(self.model, list) else [self.model]


def parse(raw: object) -> tuple[Request, list[str]]:
    """Return the validated request and a remark for each unknown field. Raises RequestError."""
    if not isinstance(raw, dict):
        raise RequestError("request", f"expected one JSON object, got {kind(raw)}")
    if deep := next((name for name, value in raw.items() if too_deep(value)), None):
        raise RequestError(deep, f"expected at most {MAX_DEPTH} levels of nesting")
    body = normalise(without_surrogates(raw))
    unknown = _unknown(body)
    try:
        return Request.model_validate(body), unknown
    except RequestError as error:
        raise with_hint(error, unknown) from error
    except ValueError as error:
        from pydantic import ValidationError  # it has been imported to find the error

        if not isinstance(error, ValidationError):
            raise
        raise with_hint(request_error(error, _PATTERNS), unknown) from error


def _unknown(body: dict[str, Any]) -> list[str]:
    def names(model: type[BaseModel]) -> set[str]:
        return {field.alias or name for name, field in model.model_fields.items()}

    found = [_remark("", key, names(Request)) for key in body if key not in names(Request)]
    if isinstance(body.get("config"), dict):
        known = names(Config)
        found += [_remark("config.", key, known) for key in body["config"] if key not in known]
    if isinstance(servers := body.get("mcpServers"), dict):
        for server, fields in servers.items():
            known = names(McpServer)
            unknown = fields.keys() - known if isinstance(fields, dict) else ()
            found += [_remark(f"mcpServers.{server}.", key, known) for key in unknown]
    return sorted(found)


def _remark(prefix: str, name: str, known: set[str]) -> str:
    """The name of an unknown field, with the known name that was probably meant."""
    from difflib import get_close_matches

    meant = get_close_matches(name, sorted(known), 1, 0.8)
    return f"{prefix}{name} (did you mean {prefix}{meant[0]}?)" if meant else f"{prefix}{name}"
