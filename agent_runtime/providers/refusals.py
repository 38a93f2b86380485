"""Reads refusals: which parameter a provider's message names, and what it says about it.

The patterns follow what Anthropic, OpenAI, Google, xAI, Mistral, DeepSeek, Groq, Moonshot, Alibaba, OpenRouter, vLLM
and pydantic-based servers answered in 2025 and 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agent_runtime.lazy import lazy_pattern
from agent_runtime.providers.parameters import EFFORTS

REQUIRED = frozenset({"model", "messages", "input", "system", "instructions", "tools", "stream"})
# parameters whose names are also words: they count only in quotes, or at the start of the message
_WORDS = frozenset({"temperature", "reasoning", "thinking", "include", "store"})

REFUSES = lazy_pattern(
    r"unsupported|not (?:be )?support|unknown|unrecogni[sz]ed|unexpected|extra (?:inputs|fields)|extra_forbidden|"
    r"additional propert|not (?:permitted|allowed|available|accepted|valid)|forbidden|invalid|deprecated|"
    r"cannot find field|only .{0,40}(?:supported|allowed)|(?:must|should) be|does ?n[o']t (?:support|accept|match)",
    re.I,
)
UNKNOWN_FIELD = lazy_pattern(
    r"extra (?:inputs|fields)|extra_forbidden|additional propert|not permitted|property .{0,80} is unsupported|"
    r"(?:unknown|unrecogni[sz]ed|unexpected|unsupported) (?:name|parameter|field|property|argument|keyword)",
    re.I,
)
# it is about something inside a required field: other words of the message do not name fields
_INSIDE = lazy_pattern(r"^\W*(?P<root>tools|messages|input|system|contents)[.\[]|invalid schema", re.I)
_PROPERTY = lazy_pattern(r"(?:property|field|name|key|parameter|argument) ['\"`](\w+)['\"`]", re.I)
_TOO_MANY_TOKENS = tuple(
    lazy_pattern(pattern, re.I | re.S)
    for pattern in (
        r"max(?:_completion|_output)?_tokens\W{1,3}\s*\d+ > (\d+)",  # Anthropic
        r"max(?:_completion|_output)?_tokens.{0,40}too large.{0,120}supports at most (\d+)",  # OpenAI
        r"max(?:_completion|_output)?_tokens.{0,80}\[\s*\d+\s*,\s*(\d+)\s*\]",  # DeepSeek, Alibaba
        r"max(?:_completion|_output)?_tokens.{0,60}(?:less than or equal to|at most|<=|maximum (?:is|of)|"
        r"must not exceed|cannot exceed|exceeds? the (?:maximum|limit)\D{0,40}) ?\W?(\d+)",  # Groq and others
    )
)
# the limit of the output does not fit into the window beside the prompt: the window, and the prompt's tokens
_BEYOND_WINDOW = (
    lazy_pattern(
        r"too large: \d+.{0,60}maximum context length is (\d+) tokens and your request has (\d+) input",
        re.I | re.S,
    ),
    lazy_pattern(
        r"maximum context length is (\d+) tokens.{0,60}requested \d+ tokens \((\d+) (?:in the messages|input)",
        re.I | re.S,
    ),
)
TOOL_TYPE = lazy_pattern(
    r"\btools?[.\[ ]*\d+\b.{0,120}\b(?:type|tag)s?\b|text_editor_\d+|\btool type", re.I | re.S
)
_QUOTED = lazy_pattern(r"['\"`]([a-z]+)['\"`]")
NO_IMAGES = lazy_pattern(
    r"(?:does ?n[o']t|do not|not|no endpoints found that) support (?:the )?(?:image|vision)|"
    r"(?:image|vision|multimodal)\w*(?: inputs?| contents?| parts?| messages?)? (?:is|are) "
    r"(?:not|only) (?:supported|allowed|available)|not a multimodal model|"
    r"unknown variant [`'\"]?(?:image|input_image)|at most 0 image",
    re.I | re.S,
)
NO_DOCUMENTS = lazy_pattern(
    r"(?:does ?n[o']t|do not|not|no endpoints found that) support (?:the )?(?:pdf|file|document)s?\b|"
    r"\b(?:pdf|file|document)s? (?:inputs?|contents?|parts?|messages?|blocks?|uploads?)(?: types?)? (?:is|are) not|"
    r"(?:unknown variant|unknown part type|invalid value|unsupported (?:content|part) type)\W{1,3}"
    r"(?:file|input_file|document)\b",
    re.I | re.S,
)
USER_AFTER_TOOL = lazy_pattern(
    r"unexpected role ['\"`]?user['\"`]? after role ['\"`]?tool|roles must alternate|"
    r"user message .{0,40}after .{0,20}tool|expected .{0,40}assistant.{0,40} after .{0,20}tool",
    re.I | re.S,
)
NO_SYSTEM = lazy_pattern(
    r"system role (?:is )?not supported|role.{0,60}does not support ['\"`]system|"
    r"(?:developer|system) (?:instruction|message|prompt)s? (?:is|are) not (?:enabled|supported|allowed)",
    re.I | re.S,
)
NO_STRUCTURED_OUTPUT = lazy_pattern(
    r"output_config\.format|response_?format|text\.format|json_?schema|structured[ _-]?outputs?|"
    r"response mime type|invalid schema for|guided",
    re.I,
)
REASONING_REQUIRED = lazy_pattern(
    r"reasoning_content.{0,80}(?:missing|required|pass(?:ed)? back|must be|not found)|"
    r"(?:missing|requires?).{0,80}reasoning_content",
    re.I | re.S,
)
SHORT_IDS = lazy_pattern(r"tool call id.{0,80}length of 9", re.I | re.S)
CANNOT_STOP_THINKING = lazy_pattern(
    r"only works in thinking mode|(?:thinking|reasoning).{0,30}(?:cannot|can't|can not) be (?:disabled|turned off)|"
    r"thinking\.type\.disabled.{0,20}not supported|reasoning is mandatory",
    re.I | re.S,
)


def output_cap(words: str) -> int:
    """The most tokens that may be asked for; 0 when the words name no limit."""
    if found := _first(_BEYOND_WINDOW, words):
        window, prompt = int(found[1]), int(found[2])
        return max(0, min(window // 4, window - prompt))
    found = _first(_TOO_MANY_TOKENS, words)
    return int(found[1]) if found else 0


def _first(patterns: Iterable[re.Pattern[str]], words: str) -> re.Match[str] | None:
    return next((match for pattern in patterns if (match := pattern.search(words))), None)


def listed_efforts(words: str) -> set[str]:
    """The levels that a message lists as supported."""
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
    if len(parts) == 1 or (len(parts) == 2 and parts[1] == "type"):  # an object is nothing without its type
        yield parts[0]
    elif parts and not (parts[0] in REQUIRED and parts[-1] in _ESSENTIAL):
        yield f"{parts[0]}.{parts[-1]}"


def named_paths(message: str, param: str, fields: Iterable[str]) -> Iterator[str]:
    """The fields that a refusal names, the most certain first: `name`, or `root.name` for one inside another.

    Args:
        message: the provider's.
        param: the parameter that the error names besides; may be empty.
        fields: of the request body.
    """
    if not REFUSES.search(message):
        return
    yield from _paths(param)
    for loc in re.findall(r"['\"]loc['\"]: [\[(]([^\])]*)", message):  # pydantic's errors
        yield from _paths(".".join(re.findall(r"[\w]+", loc)).removeprefix("body."))
    for match in re.finditer(
        r"(?:^|['\"`\s])((?:\w+(?:\.\[?|\[)(?:\d+\]?\.?|\w+\.?)*)\w+)['\"`]?:? ", message
    ):
        yield from _paths(match[1])
    if inside := _INSIDE.search(message):
        property = _PROPERTY.search(message)
        if property and inside["root"] and property[1] not in _ESSENTIAL:
            yield f"{inside['root']}.{property[1]}"
        return
    for name in fields:
        if name not in REQUIRED and names(message, name):
            yield name


def names(words: str, name: str) -> bool:
    """Return whether a message names this parameter. English words count only where names are expected."""
    camel = re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
    either = rf"(?:{name}|{camel})"
    if name not in _WORDS:
        return re.search(rf"\b{either}\b", words) is not None
    before = (
        r"(?:parameters?|arguments?|fields?|property|name|supplied|inputs?|supports?|supported|invalid)"
        r":?\s+(?:the\s+)?"
    )
    return bool(
        re.search(rf"['\"`]{either}(?:['\"`]|\.\w)|^(?:body\.)?{either}\b|\b{either}:", words)
        or re.search(rf"\b{before}{either}\b|\b{either} (?:parameter|(?:is|are) (?:not|un))", words, re.I)
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
