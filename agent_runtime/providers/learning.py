"""What a refusal says about a model: a 400 that names a parameter changes the endpoint's rows, for the rest of the run.

The tables cannot know every model behind every name. What they do not know is tried, and learned from the provider's
answer. `learn` is pure: the next request is encoded for the endpoint that it returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from agent_runtime.conversation.rejected import names_history
from agent_runtime.errors import ProviderError
from agent_runtime.providers.catalog import NEVER, NO_EFFORT, ThinkingOff
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.parameters import EFFORTS

_STATUSES = frozenset({400, 404, 422})
_REQUIRED = frozenset({"model", "messages", "input", "system", "instructions", "tools", "stream"})
# parameters whose names are also words: they count only in quotes, or at the start of the message
_WORDS = frozenset({"temperature", "reasoning", "thinking", "include", "store"})

_REFUSES = re.compile(
    r"unsupported|not (?:be )?support|unknown|unrecogni[sz]ed|unexpected|extra (?:inputs|fields)|extra_forbidden|"
    r"additional propert|not (?:permitted|allowed|available|accepted|valid)|forbidden|invalid|deprecated|"
    r"cannot find field|only .{0,40}(?:supported|allowed)|(?:must|should) be|does ?n[o']t (?:support|accept)",
    re.I,
)
_UNKNOWN_FIELD = re.compile(
    r"extra (?:inputs|fields)|extra_forbidden|additional propert|not permitted|property .{0,80} is unsupported|"
    r"(?:unknown|unrecogni[sz]ed|unexpected|unsupported) (?:name|parameter|field|property|argument|keyword)",
    re.I,
)
# about something inside a field that is required: words of the message are no names of other fields
_INSIDE = re.compile(r"^\W*(?:tools|messages|input|system|contents)[.\[]|invalid schema", re.I)
_TOO_MANY_TOKENS = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        r"max(?:_completion|_output)?_tokens\W{1,3}\s*\d+ > (\d+)",  # Anthropic
        r"max(?:_completion|_output)?_tokens.{0,40}too large.{0,120}supports at most (\d+)",  # OpenAI
        r"max(?:_completion|_output)?_tokens.{0,80}\[\s*\d+\s*,\s*(\d+)\s*\]",  # DeepSeek, Alibaba
        r"max(?:_completion|_output)?_tokens.{0,60}(?:less than or equal to|at most|<=|maximum (?:is|of)|"
        r"must not exceed|cannot exceed|exceeds? the (?:maximum|limit)\D{0,40}) ?\W?(\d+)",  # Groq and others
    )
)
_QUOTED = re.compile(r"['\"`]([a-z]+)['\"`]")
_NO_IMAGES = re.compile(
    r"(?:does ?n[o']t|do not|not|no endpoints found that) support (?:the )?(?:image|vision)|"
    r"(?:image|vision)\w*(?: input| content| type)?s? (?:is|are) (?:not|only) supported|not a multimodal model|"
    r"unknown variant [`'\"]?(?:image|input_image)|at most 0 image|image_url.{0,40}only supported by|"
    r"(?:image|multimodal).{0,40}not (?:supported|allowed|available)",
    re.I | re.S,
)
_USER_AFTER_TOOL = re.compile(
    r"unexpected role ['\"`]?user['\"`]? after role ['\"`]?tool|roles must alternate|"
    r"user message .{0,40}after .{0,20}tool|expected .{0,40}assistant.{0,40} after .{0,20}tool",
    re.I | re.S,
)
_NO_SYSTEM = re.compile(
    r"system role (?:is )?not supported|role.{0,60}does not support ['\"`]system|"
    r"(?:developer|system) (?:instruction|message|prompt)s? (?:is|are) not (?:enabled|supported|allowed)",
    re.I | re.S,
)
_REASONING_REQUIRED = re.compile(
    r"reasoning_content.{0,80}(?:missing|required|pass(?:ed)? back|must be|not found)|"
    r"(?:missing|requires?).{0,80}reasoning_content",
    re.I | re.S,
)
_SHORT_IDS = re.compile(r"tool call id.{0,80}length of 9", re.I | re.S)
_CANNOT_STOP_THINKING = re.compile(
    r"only works in thinking mode|(?:thinking|reasoning).{0,30}(?:cannot|can't|can not) be (?:disabled|turned off)|"
    r"thinking\.type\.disabled.{0,20}not supported|reasoning is mandatory",
    re.I | re.S,
)

Rule = Callable[[Endpoint, str, dict[str, Any]], Endpoint | None]


def learn(endpoint: Endpoint, error: ProviderError, body: dict[str, Any]) -> Endpoint | None:
    """The endpoint with what the refusal of `body` teaches; None when it teaches nothing new."""
    if error.status not in _STATUSES or error.code not in (
        "provider_error",
        "context_overflow",
        "model_not_found",
    ):
        return None
    words = f"{error.details.get('param') or ''} {error.message}".strip()
    in_history = names_history(words) and not _UNKNOWN_FIELD.search(words)
    for rule in (_images, _messages) if in_history else _RULES:
        learned = rule(endpoint, words, body)
        if learned is not None and learned != endpoint:
            return learned
    if error.code != "provider_error" or in_history:
        return None
    return _omitting(endpoint, str(error.details.get("param") or ""), error.message, body)


def _with_model(endpoint: Endpoint, **changes: Any) -> Endpoint:
    return replace(endpoint, model_row=replace(endpoint.model_row, **changes))


def _with_provider(endpoint: Endpoint, **changes: Any) -> Endpoint:
    return replace(endpoint, provider_row=replace(endpoint.provider_row, **changes))


# --- rules for what a row can express


def _output_cap(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    found = next((match for pattern in _TOO_MANY_TOKENS if (match := pattern.search(words))), None)
    sent = next((body[name] for name in body if name.startswith("max_")), None)
    if found is None or not isinstance(sent, int) or not 0 < int(found[1]) < sent:
        return None
    return _with_model(endpoint, max_output=int(found[1]), exact=True)


def _output_field(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    field = endpoint.provider_row.max_tokens_field
    if endpoint.format != "openai-chat" or field not in body or not re.search(rf"\b{field}\b", words):
        return None
    other = "max_tokens" if field == "max_completion_tokens" else "max_completion_tokens"
    if not _REFUSES.search(words) or re.search(r"too (?:large|small)|at least", words):
        return None
    if re.search(rf"\b{other}\b", words) or field == "max_completion_tokens":
        return _with_provider(endpoint, max_tokens_field=other)
    return None


def _tools_without_thinking(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    if endpoint.format != "openai-chat" or not re.search(
        r"function tools.{0,40}reasoning_effort", words, re.I | re.S
    ):
        return None
    learned = _with_provider(endpoint, strict_chat_tools=True, effort_style="reasoning_effort")
    return _with_model(learned, chat_tools_without_thinking=True, thinks_by_default=True)


def _thinking_stays_on(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    return (
        _with_model(endpoint, thinking_off=NEVER, thinking=_fixed(endpoint))
        if _CANNOT_STOP_THINKING.search(words)
        else None
    )


def _fixed(endpoint: Endpoint) -> Any:
    kind = endpoint.model_row.thinking
    return "fixed" if kind in ("unknown", "switched") else kind


def _efforts(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    """Other levels: those that the message lists, or all but the one that was sent."""
    sent = _sent_effort(body)
    if sent is None or "effort" not in words.lower() or not _REFUSES.search(words):
        return None
    row, listed = endpoint.model_row, _listed_efforts(words)
    if listed:
        efforts = tuple(level for level in EFFORTS if level in listed)
        off = row.thinking_off
        if sent in ("none", "minimal") and sent not in listed:
            off = next((ThinkingOff("value", v) for v in ("none", "minimal") if v in listed), NEVER)
        elif "none" in listed and off.by != "value":
            off = NO_EFFORT
        return _with_model(endpoint, efforts=efforts or row.efforts, thinking_off=off)
    if not re.search(rf"['\"`]{sent}['\"`]", words):
        return None
    if sent in ("none", "minimal"):
        return _with_model(endpoint, thinking_off=NEVER)
    lower = tuple(level for level in (row.efforts or EFFORTS) if level != sent)
    if re.search(r"thinking.{0,20}(?:disabled|off)", words):
        return _with_model(endpoint, efforts_thinking_off=lower[: EFFORTS.index(sent)])
    return _with_model(endpoint, efforts=lower)


def _sent_effort(body: dict[str, Any]) -> Any:
    places = (body.get("reasoning"), body.get("output_config"), {"effort": body.get("reasoning_effort")})
    return next(
        (place["effort"] for place in places if isinstance(place, dict) and place.get("effort")), None
    )


def _listed_efforts(words: str) -> set[str]:
    known = {*EFFORTS, "none", "minimal", "default"}
    _, found, rest = words.partition("upported values")
    if not found:
        match = re.search(
            r"(?:must be one of|expected one of|should be|allowed values|valid values)(.*)",
            words,
            re.S | re.I,
        )
        rest = match[1] if match else ""
    return known & set(_QUOTED.findall(rest))


def _temperature(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    named = re.search(
        r"['\"`]temperature['\"`]|^temperature\b|invalid temperature|\btemperature:", words, re.I
    )
    if "temperature" not in body or not named or not _REFUSES.search(words):
        return None
    return _with_model(endpoint, temperature=False)


def _images(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    return _with_model(endpoint, vision=False) if _NO_IMAGES.search(words) else None


def _messages(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    """The rules of strict chat templates, and fields that messages must have."""
    if endpoint.format != "openai-chat":
        return None
    if _USER_AFTER_TOOL.search(words):
        return _with_provider(endpoint, user_after_tool=False)
    if _NO_SYSTEM.search(words):
        return _with_provider(endpoint, system_role=False)
    if _SHORT_IDS.search(words):
        return _with_provider(endpoint, short_ids=True)
    if re.search(r"thought_?signature", words, re.I):
        return _with_model(_with_provider(endpoint, signatures_required=True), signed_calls=True)
    if _REASONING_REQUIRED.search(words):
        kind = endpoint.model_row.thinking
        learned = _with_provider(endpoint, reasoning_required=True)
        return _with_model(learned, thinking="unknown" if kind == "none" else kind)
    return None


_RULES: tuple[Rule, ...] = (
    _output_cap,
    _output_field,
    _tools_without_thinking,
    _thinking_stays_on,
    _efforts,
    _temperature,
    _images,
    _messages,
)


# --- all other parameters


def _omitting(endpoint: Endpoint, param: str, message: str, body: dict[str, Any]) -> Endpoint | None:
    """The endpoint that omits the first field of the body which the refusal names."""
    if param and not _REFUSES.search(message):
        return None
    for path in (*_paths(param), *_named_paths(message, body)):
        root = path.partition(".")[0]
        if root in body and path not in endpoint.omitted and path not in _REQUIRED:
            if root == "max_tokens" and endpoint.format == "anthropic":
                continue
            return replace(endpoint, omitted=(*endpoint.omitted, path))
    return None


# fields inside messages and tools that cannot be left out
_ESSENTIAL = frozenset(
    {
        "content",
        "text",
        "role",
        "type",
        "id",
        "name",
        "input",
        "arguments",
        "function",
        "parameters",
        "signature",
    }
    | {
        "data",
        "encrypted_content",
        "thinking",
        "summary",
        "tool_calls",
        "tool_call_id",
        "tool_use_id",
        "call_id",
    }
    | {"source", "url", "image_url", "output", "input_schema", "properties", "description"}
)


def _paths(named: str) -> Iterator[str]:
    """`reasoning.effort` of `body.reasoning.effort`, `tools.strict` of `tools[0].function.strict`."""
    parts = [part for part in re.split(r"[.\[\]\s]+", re.sub(r"^(?:body|request)\.", "", named)) if part]
    parts = [_snake(part) for part in parts if not part.isdigit()]
    if len(parts) == 1:
        yield parts[0]
    elif parts and not (parts[0] in _REQUIRED and parts[-1] in _ESSENTIAL):
        yield f"{parts[0]}.{parts[-1]}"


def _named_paths(message: str, body: dict[str, Any]) -> Iterator[str]:
    if not _REFUSES.search(message):
        return
    for loc in re.findall(r"['\"]loc['\"]: [\[(]([^\])]*)", message):  # pydantic's errors
        yield from _paths(".".join(re.findall(r"[\w]+", loc)).removeprefix("body."))
    for match in re.finditer(
        r"(?:^|['\"`\s])((?:\w+(?:\.\[?|\[)(?:\d+\]?\.?|\w+\.?)*)\w+)['\"`]?:? ", message
    ):
        yield from _paths(match[1])
    if _INSIDE.search(message):
        return
    for name in body:
        camel = re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
        quoted = rf"['\"`](?:{name}|{camel})(?:['\"`]|\.\w)|^(?:body\.)?{name}\b"
        bare = rf"\b(?:{name}|{camel})\b"
        if name not in _REQUIRED and re.search(quoted if name in _WORDS else bare, message):
            yield name


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
