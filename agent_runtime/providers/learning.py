"""Learns from refusals: a 400 that names a parameter changes the rows of the endpoint for the rest of the run.

The tables cannot know every model. Parameters that they do not know about are sent, and what the provider refuses is
learned from its answer. `learn` is pure: the next request is encoded for the endpoint that it returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent_runtime.conversation.rejected import names_history
from agent_runtime.errors import ProviderError
from agent_runtime.lazy import lazy_pattern
from agent_runtime.providers import refusals
from agent_runtime.providers.catalog import NEVER, NO_EFFORT, ThinkingOff
from agent_runtime.providers.endpoints import Endpoint
from agent_runtime.providers.parameters import EFFORTS

_TOOL_SEARCH = lazy_pattern(r"tool_search|defer_loading", re.IGNORECASE)
_STATUSES = frozenset({400, 404, 422})

Rule = Callable[[Endpoint, str, dict[str, Any]], Endpoint | None]


def learn(endpoint: Endpoint, error: ProviderError, body: dict[str, Any]) -> Endpoint | None:
    """Return the endpoint without what the refusal of `body` names; None when nothing new follows from it."""
    if error.status not in _STATUSES:
        return None
    param = str(error.details.get("param") or "")
    words = f"{param} {error.message}".strip()
    in_history = names_history(words) and not refusals.UNKNOWN_FIELD.search(words)
    rules = _HISTORY_RULES if in_history and error.code == "provider_error" else _RULES.get(error.code, ())
    for rule in rules:
        learned = rule(endpoint, words, body)
        if learned is not None and learned != endpoint:
            return learned
    if error.code != "provider_error" or in_history:
        return None
    return _omitting(endpoint, param, error.message, body)


def _omitting(endpoint: Endpoint, param: str, message: str, body: dict[str, Any]) -> Endpoint | None:
    """The endpoint that omits the first field of the body which the refusal names."""
    kept = refusals.REQUIRED | ({"max_tokens"} if endpoint.format == "anthropic" else set())
    for path in refusals.named_paths(message, param, body):
        if path.partition(".")[0] in body and path not in endpoint.omitted and path not in kept:
            return replace(endpoint, omitted=(*endpoint.omitted, path))
    return None


def _with_model(endpoint: Endpoint, **changes: Any) -> Endpoint:
    return replace(endpoint, model_row=replace(endpoint.model_row, **changes))


def _with_provider(endpoint: Endpoint, **changes: Any) -> Endpoint:
    return replace(endpoint, provider_row=replace(endpoint.provider_row, **changes))


# --- rules for what a row can express


def _output_cap(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    sent = next((body[name] for name in body if name.startswith("max_")), None)
    cap = refusals.output_cap(words)
    if not isinstance(sent, int) or not 0 < cap < sent:
        return None
    return _with_model(endpoint, max_output=cap, exact=True)


def _output_field(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    field = endpoint.provider_row.max_tokens_field
    if endpoint.format != "openai-chat" or field not in body or not re.search(rf"\b{field}\b", words):
        return None
    other = "max_tokens" if field == "max_completion_tokens" else "max_completion_tokens"
    if not refusals.REFUSES.search(words) or re.search(r"too (?:large|small)|at least", words):
        return None
    if other in endpoint.omitted or not (
        re.search(rf"\b{other}\b", words) or field == "max_completion_tokens"
    ):
        return None
    learned = _with_provider(endpoint, max_tokens_field=other)
    return replace(learned, omitted=(*endpoint.omitted, field))  # so that it is not tried again


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
        if refusals.CANNOT_STOP_THINKING.search(words)
        else None
    )


def _fixed(endpoint: Endpoint) -> Any:
    kind = endpoint.model_row.thinking
    return "fixed" if kind in ("unknown", "switched") else kind


def _efforts(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    """Other levels: those that the message lists, or all but the one that was sent."""
    sent = _sent_effort(body)
    if sent is None or "effort" not in words.lower() or not refusals.REFUSES.search(words):
        return None
    row, listed = endpoint.model_row, refusals.listed_efforts(words)
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


def _tool_types(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    """Tools of the provider's own types, which a gateway or a model does not know: functions take their place."""
    if _TOOL_SEARCH.search(words):
        return _with_provider(endpoint, tool_search=False)
    if not refusals.TOOL_TYPE.search(words) or not refusals.REFUSES.search(words):
        return None
    return _with_model(endpoint, editor_tool=False, custom_tools=False)


def _temperature(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    named = "temperature" in body and refusals.names(words, "temperature")
    return _with_model(endpoint, temperature=False) if named and refusals.REFUSES.search(words) else None


def _images(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    return _with_model(endpoint, vision=False) if refusals.NO_IMAGES.search(words) else None


def _documents(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    return _with_provider(endpoint, documents=()) if refusals.NO_DOCUMENTS.search(words) else None


def _messages(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    """The rules of strict chat templates, and fields that messages must have."""
    if endpoint.format != "openai-chat":
        return None
    if refusals.USER_AFTER_TOOL.search(words):
        return _with_provider(endpoint, user_after_tool=False)
    if refusals.NO_SYSTEM.search(words):
        return _with_provider(endpoint, system_role=False)
    if refusals.SHORT_IDS.search(words):
        return _with_provider(endpoint, short_ids=True)
    if re.search(r"thought_?signature", words, re.I):
        return _with_model(_with_provider(endpoint, signatures_required=True), signed_calls=True)
    if refusals.REASONING_REQUIRED.search(words):
        kind = endpoint.model_row.thinking
        learned = _with_provider(endpoint, reasoning_required=True)
        return _with_model(learned, thinking="unknown" if kind == "none" else kind)
    return None


def _structured_output(endpoint: Endpoint, words: str, body: dict[str, Any]) -> Endpoint | None:
    sent = "response_format" in body or "text" in body or "format" in body.get("output_config", {})
    if not sent or not refusals.NO_STRUCTURED_OUTPUT.search(words):
        return None
    return _with_model(endpoint, structured="refused")


_HISTORY_RULES: tuple[Rule, ...] = (_images, _documents, _messages)
# by the error's code
_RULES: dict[str, tuple[Rule, ...]] = {
    "provider_error": (
        _output_cap,
        _structured_output,
        _output_field,
        _tools_without_thinking,
        _thinking_stays_on,
        _efforts,
        _temperature,
        _tool_types,
        *_HISTORY_RULES,
    ),
    "context_overflow": (_output_cap,),
    "model_not_found": (_images, _documents),
}
