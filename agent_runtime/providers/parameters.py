"""What the three wires share of a request: messages for this model, limits, and parameters that it does not take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_runtime.agent.model import DroppedParameter, Effort, ModelCall
from agent_runtime.conversation.documents import as_text
from agent_runtime.conversation.image_limits import has_image, left_out
from agent_runtime.conversation.memo import Memo
from agent_runtime.conversation.normalize import for_model
from agent_runtime.conversation.tokens import native_size
from agent_runtime.protocol.messages import Document, Message
from agent_runtime.providers.endpoints import Endpoint

EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")

# the request's names for fields of the body
_PUBLIC_NAMES = {
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "max_output_tokens": "maxTokens",
    "reasoning": "effort",
    "reasoning_effort": "effort",
    "output_config": "effort",
    "enable_thinking": "thinking",
    "parallel_tool_calls": "parallelTools",
    "tool_choice": "parallelTools",
    "response_format": "outputSchema",
    "text": "outputSchema",
}


def refuse(parameter: str, endpoint: Endpoint) -> DroppedParameter:
    """The notice of a parameter that the model does not take at all."""
    return DroppedParameter(parameter, f"{endpoint.model} does not accept it")


def messages_for(
    call: ModelCall,
    endpoint: Endpoint,
    dropped: list[DroppedParameter],
    memo: Memo[Message, Message | None] | None = None,
) -> Sequence[Message]:
    """The messages in the form that this model takes: without images where it cannot see, and with the text of the
    documents that it does not read. `dropped` says so; of the documents only those of messages that are not in `memo`.

    `memo` has what is known from earlier calls for this endpoint.
    """
    messages = call.messages
    if not endpoint.model_row.vision and any(map(has_image, messages)):
        dropped.append(DroppedParameter("images", f"{endpoint.model} does not accept images"))
        messages = [left_out(message, "this model cannot see images") for message in messages]

    def reads(document: Document) -> bool:
        if reads_document(endpoint, document):
            return True
        reason = f"{endpoint.model} does not accept it as a file; {document.loss}"
        dropped.append(DroppedParameter(document.path, reason))
        return False

    return for_model(
        messages, endpoint.format, endpoint.model, memo, adapt=lambda message: as_text(message, reads)
    )


def reads_document(endpoint: Endpoint, document: Document) -> bool:
    """Return whether a document is sent to this model in its own format; it may take up to half of the context."""
    if not endpoint.model_row.vision or document.media_type not in endpoint.provider_row.documents:
        return False
    return native_size(document) <= endpoint.context_window // 2


def output_limit(call: ModelCall, endpoint: Endpoint, dropped: list[DroppedParameter]) -> int | None:
    """The limit of the output in tokens, not above what the model is known to write: then `dropped` says so."""
    row, limit = endpoint.model_row, call.max_tokens
    if limit is None or not row.exact or limit <= row.max_output:
        return limit
    reason = f"{endpoint.model} writes at most {row.max_output} tokens; {row.max_output} is used"
    dropped.append(DroppedParameter("maxTokens", reason))
    return row.max_output


def nearest_effort(
    effort: Effort, endpoint: Endpoint, dropped: list[DroppedParameter], *, thinks: bool = True
) -> str:
    """The effort itself, or the next lower one that the model takes: then `dropped` says so.

    Args:
        effort: as asked for.
        endpoint: has the levels of its model. Where no level is known the effort is sent as it is.
        dropped: gets what is not sent.
        thinks: False when thinking is switched off, which some models take with some levels only.
    """
    levels = endpoint.model_row.efforts
    if not thinks and endpoint.model_row.efforts_thinking_off is not None:
        levels = endpoint.model_row.efforts_thinking_off
    if effort in levels or not levels:
        return effort
    lower = [level for level in EFFORTS[: EFFORTS.index(effort)] if level in levels]
    chosen = lower[-1] if lower else levels[0]
    condition = "" if thinks else " while it does not think"
    reason = f"{endpoint.model} does not accept {effort}{condition}; {chosen} is used"
    dropped.append(DroppedParameter("effort", reason))
    return chosen


def omit(body: dict[str, Any], endpoint: Endpoint, dropped: list[DroppedParameter]) -> dict[str, Any]:
    """The body without what the provider has refused in this run; `dropped` gets the parameters that were in it."""
    kept = dict(body)
    for path in endpoint.omitted:
        root, _, name = path.partition(".")
        if root not in kept:
            continue
        rest = _without(kept[root], name) if name else None
        if rest == kept[root]:
            continue
        if rest:
            kept[root] = rest
        else:
            del kept[root]
        parameter = "effort" if name == "effort" else path if name else _PUBLIC_NAMES.get(root, root)
        dropped.append(DroppedParameter(parameter, "the provider refuses it"))
    return kept


def _without(value: Any, name: str) -> Any:
    """The value without a key, at any depth. Nothing is changed in place: items of the history may be in it."""
    if isinstance(value, list):
        return [_without(item, name) for item in value]
    if isinstance(value, dict):
        return {key: _without(item, name) for key, item in value.items() if key != name}
    return value
