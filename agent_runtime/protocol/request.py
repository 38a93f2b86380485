"""The request: both generations of the body, checked field by field.

`parse` is the only door: it takes the decoded JSON, and raises RequestError naming the first wrong field in camelCase.
Unknown fields are returned as names, to be warned about; they change nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from agent_runtime.errors import RequestError
from agent_runtime.protocol.messages import MAX_DEPTH, clean_text, too_deep

Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Count = Annotated[int, Field(ge=1, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
PathName = Annotated[str, Field(min_length=1, max_length=4096)]  # PATH_MAX


class _Body(BaseModel):
    # strict: "5" is no number and 1 is no boolean; whoever sends it has made a mistake and should hear of it
    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        defer_build=True,
        allow_inf_nan=False,
    )


class CustomModel(_Body):
    """A model at an endpoint that the caller names; `format` is the wire format it speaks."""

    provider: Name
    endpoint: str | None = Field(default=None, pattern=r"^https?://")
    api_key: str | None = None
    format: Literal["openai", "anthropic"] | None = None
    name: Name


class Config(_Body):
    """Limits and settings of a run; seconds for all times, tokens for all sizes."""

    max_turns: Count | None = None
    max_tokens: Count | None = None
    max_total_tokens: Count | None = None
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


class Mount(_Body):
    """Persistent storage that the launcher has mounted."""

    workspace_id: Name
    path: PathName


class Request(_Body):
    """One run, as asked for. What is None was not said and is decided by the agent or by default."""

    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    agent: Name | None = None
    model: str | CustomModel | list[str | CustomModel] | None = None
    system_prompt: str | None = None
    tools: list[Name] | None = None
    config: Config = Field(default_factory=lambda: Config())
    thread_id: Name | None = None
    stream: bool | None = None
    params: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: Any = None
    mounts: list[Mount] = Field(default_factory=list)
    run_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    sandbox_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:-]{1,128}$")
    rollout_id: Name | None = None
    target_device_id: Name | None = None
    execution_mode: Name | None = None
    env: dict[str, str] = Field(default_factory=dict)
    # the options of the command line, each also a field
    workspace: PathName | None = None
    state_dir: PathName | None = None
    record: PathName | None = None
    partial: bool = False
    format: Literal["ndjson", "pretty"] | None = None
    dev_url: Name | None = None
    tool_user: Name | None = None
    confine: bool = False
    track_ignored: bool = False
    heartbeat: Seconds | None = None
    agents_dir: PathName | None = None

    @field_validator("env")
    @classmethod
    def _env(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not name or "=" in name or "\0" in name + value:
                raise ValueError(f"names without '=' and no NUL anywhere are expected, see {name!r}")
        return env

    @model_validator(mode="after")
    def _has_a_task(self) -> Request:
        if self.prompt is None and self.messages is None:
            raise RequestError("prompt", "required: the user's task as a string, unless `messages` is given")
        if self.prompt is not None and not self.prompt.strip():
            raise RequestError("prompt", "expected a text that is not empty")
        if self.prompt is None and not self.messages:
            raise RequestError("messages", "expected at least one message when there is no prompt")
        return self

    @property
    def models(self) -> list[str | CustomModel]:
        """The models to use, the first first."""
        if self.model is None:
            return []
        return list(self.model) if isinstance(self.model, list) else [self.model]


# the older body's names, and the options that belong into `config`
_SYNONYMS = {"message": "prompt", "agentSlug": "agent", "thread": "threadId"}
_IN_CONFIG = (
    "maxTurns",
    "maxTokens",
    "maxTotalTokens",
    "temperature",
    "timeout",
    "toolTimeout",
    "effort",
    "maxRetries",
)


def parse(raw: object) -> tuple[Request, list[str]]:
    """The checked request, and the names of the fields that nobody knows. Raises RequestError."""
    if not isinstance(raw, dict):
        raise RequestError("request", f"expected one JSON object, got {_kind(raw)}")
    if deep := next((name for name, value in raw.items() if too_deep(value)), None):
        raise RequestError(deep, f"expected at most {MAX_DEPTH} levels of nesting")
    body = normalise(_clean(raw))
    unknown = _unknown(body)
    try:
        return Request.model_validate(body), unknown
    except ValidationError as error:
        raise _first(error, body) from error


def normalise(raw: dict[str, Any]) -> dict[str, Any]:
    """The body in its newer form: camelCase, `prompt`, `agent`, and all limits under `config`."""
    body: dict[str, Any] = {}
    for key, value in raw.items():
        name = _camel(key)
        body.setdefault(_SYNONYMS.get(name, name), value)
    for old, new in _SYNONYMS.items():  # both given: the newer name wins, whatever their order
        if old in raw and new in raw:
            body[new] = raw[new]
    config = body.get("config")
    lifted = {name: body.pop(name) for name in _IN_CONFIG if name in body}
    if config is None or isinstance(config, dict):
        body["config"] = lifted | {_camel(key): value for key, value in (config or {}).items()}
    for name in ("params", "context", "env", "mounts", "stream", "partial", "confine", "trackIgnored"):
        if body.get(name, ...) is None:  # null is how many serialisers spell "not given"
            del body[name]
    if isinstance(body.get("mounts"), list):
        body["mounts"] = [_camel_keys(mount) for mount in body["mounts"]]
    model = body.get("model")
    body["model"] = [_camel_keys(item) for item in model] if isinstance(model, list) else _camel_keys(model)
    return body


def _clean(value: Any) -> Any:
    """The same JSON without lone surrogates, which a `\\ud800` escape can bring in and no wire may carry."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _camel(key: str) -> str:
    return to_camel(key) if "_" in key else key


def _camel_keys(value: Any) -> Any:
    return {_camel(k): v for k, v in value.items()} if isinstance(value, dict) else value


def _unknown(body: dict[str, Any]) -> list[str]:
    def names(model: type[BaseModel]) -> set[str]:
        return {field.alias or name for name, field in model.model_fields.items()}

    found = [key for key in body if key not in names(Request)]
    if isinstance(body.get("config"), dict):
        found += [f"config.{key}" for key in body["config"] if key not in names(Config)]
    return sorted(found)


def _first(error: ValidationError, body: dict[str, Any]) -> RequestError:
    """The first error, in the words of this program: the path in the body, what was expected, what was there."""
    if "model" in {e["loc"][0] for e in error.errors() if e["loc"]} and not isinstance(body["model"], str):
        return _about_model(body["model"], error)
    first = error.errors(include_url=False)[0]
    path = ""
    for step in first["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    message = (
        first["msg"]
        .removeprefix("Value error, ")
        .replace("Input should be", "expected")
        .replace("Field required", "required")
    )
    message = message.replace("a valid dictionary or instance of Config", "an object")
    message = (
        message.replace("a valid dictionary", "an object")
        .replace("a valid list", "an array")
        .replace("a valid integer", "an integer")
        .replace("a valid ", "a ")
    )
    if message.startswith("String should match pattern"):
        message = f"expected a text that matches {first.get('ctx', {}).get('pattern')}"
    got = first.get("input")
    shown = (
        f", got {got!r}"
        if isinstance(got, int | float)
        else f", got {_kind(got)}"
        if "expected" in message
        else ""
    )
    return RequestError(path.replace(".[key]", ""), message + shown)


def _about_model(model: Any, error: ValidationError) -> RequestError:
    # a union's own errors speak of every member; one clear sentence is better
    expected = (
        'expected "provider:name", or {"provider":"custom","endpoint":"https://...","apiKey":"...",'
        '"format":"openai"|"anthropic","name":"..."}, or a list of these'
    )
    wrong = sorted(
        {
            str(e["loc"][-1])
            for e in error.errors()
            if "CustomModel" in e["loc"] and e["loc"][-1] != "CustomModel"
        }
    )
    fields = f" (wrong or missing: {', '.join(wrong)})" if wrong and isinstance(model, dict | list) else ""
    field = f"model.{wrong[0]}" if isinstance(model, dict) and wrong else "model"
    return RequestError(field, f"{expected}, got {_kind(model)}{fields}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
