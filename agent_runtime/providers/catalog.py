"""What a provider and a model accept: the types of the rows of `provider_table` and `model_table`."""

from __future__ import annotations

from typing import Literal

from agent_runtime.lazy import dataclass
from agent_runtime.protocol.messages import WireFormat

# How a model thinks, and how that is asked for: "none": it does not; "fixed": it does, and no parameter changes it;
# "switched": it can be switched on and off; "effort": by an effort; "budget", "adaptive", "always": Anthropic's kinds
Thinking = Literal["unknown", "none", "fixed", "switched", "effort", "budget", "adaptive", "always"]
ToolFamily = Literal["claude", "codex", "platform"]


@dataclass(frozen=True)
class ThinkingOff:
    """How thinking is switched off: by sending `value`, by leaving thinking out of the request, or not at all."""

    by: Literal["value", "omission", "nothing"]
    value: str = ""


OMIT = ThinkingOff("omission")
NEVER = ThinkingOff("nothing")
NO_EFFORT = ThinkingOff("value", "none")


@dataclass(frozen=True)
class Provider:
    """Where a provider is, and where its endpoint differs from the one that defined the format."""

    base_url: str
    key_variable: str
    format: WireFormat = "openai-chat"
    needs_key: bool = True
    key_headers: tuple[str, ...] = ()  # where they are not the usual ones of the format
    platform: Literal["", "bedrock", "vertex"] = ""  # of a cloud that has paths and bodies of its own
    credentials: Literal["", "aws", "azure", "google"] = ""  # of a cloud, used where there is no key
    max_tokens_field: str = "max_tokens"
    stream_usage: bool = True  # takes stream_options.include_usage
    parallel_flag: bool = False  # takes parallel_tool_calls
    effort_style: Literal["", "reasoning_effort", "reasoning"] = ""
    thinking_style: Literal["", "thinking", "enable_thinking"] = ""  # how thinking is switched on and off
    cache_key: bool = False  # takes prompt_cache_key
    short_ids: bool = False  # tool call ids must be nine letters and digits
    structured: bool = False  # has structured output, which does not hinder tool calls
    hosted_tools: bool = False  # runs web_search itself
    documents: tuple[str, ...] = ()  # the media types of files that its models read, if they see images
    tool_search: bool = False  # finds deferred tools for the model
    system_role: bool = True  # takes messages of the role `system`
    user_after_tool: bool = True  # takes a user message right after a tool message
    strict_chat_tools: bool = False  # applies `ModelRow.chat_tools_without_thinking`
    reasoning_required: bool = False  # assistant messages must carry reasoning_content while the model thinks
    signatures_required: bool = False  # the first call of a turn must carry a thought signature (Gemini 3)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelRow:
    """What a model accepts. Tokens for the window and the output.

    pattern: the first parts of the model's name, see `models.find_model`; a `*` at its end stands for the
        rest of a part.
    exact: says that the numbers are this model's own; otherwise they are a guess from its family.
    efforts: the effort levels, from low to high; empty: it takes none.
    efforts_thinking_off: those that it takes while thinking is switched off; None: all of them.
    thinks_by_default: it thinks when the request does not mention thinking.
    chat_tools_without_thinking: with function tools, Chat Completions takes it only while it does not think.
    structured: whether it has structured output, if its provider has; "refused": found out in this run.
    signed_calls: gives calls a thought signature, and refuses those of other models without one.
    """

    pattern: str
    context_window: int
    max_output: int
    thinking: Thinking = "none"
    temperature: bool = True
    efforts: tuple[str, ...] = ()
    efforts_thinking_off: tuple[str, ...] | None = None
    thinking_off: ThinkingOff = OMIT
    thinks_by_default: bool = True
    editor_tool: bool = False  # was trained on the provider's own text editor tool
    custom_tools: bool = False  # takes free-form tools
    vision: bool = True
    chat_tools_without_thinking: bool = False
    signed_calls: bool = False
    structured: Literal["native", "no", "refused"] = "native"
    exact: bool = True
