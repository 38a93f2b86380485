"""The names of models that are offered to a user who chooses one: undated, the newest first.

Sources: the model names in the types of the installed SDKs. Any other name may be used as well, see `models`.
"""

from __future__ import annotations

MODEL_NAMES: tuple[str, ...] = (
    *("claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-mythos-5-2"),
    *("claude-fable-5-1", "claude-mythos-5-1", "claude-fable-5", "claude-mythos-5", "claude-opus-5"),
    *("claude-sonnet-5", "claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-sonnet-4-6"),
    *("claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    *(
        "gpt-6.2-astra",
        "gpt-6.2-sol",
        "gpt-6.1-sol",
        "gpt-6.1-terra",
        "gpt-6-astra",
        "gpt-6-sol",
        "gpt-6-luna",
    ),
    *("gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5", "gpt-5.5-pro", "gpt-5.4", "gpt-5.4-mini"),
    *(
        "gpt-5.4-nano",
        "gpt-5.2",
        "gpt-5.2-pro",
        "gpt-5.1",
        "gpt-5.1-codex",
        "gpt-5.1-codex-max",
        "gpt-5.1-mini",
    ),
    *(
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "gpt-5-codex",
        "gpt-5-pro",
        "gpt-4.1",
        "gpt-4.1-mini",
        "gpt-4.1-nano",
    ),
    *("gpt-4o", "gpt-4o-mini", "o4-mini", "o3", "o3-pro", "o3-mini", "o1"),
)
