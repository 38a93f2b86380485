"""Arguments that models give to the shell tools because other versions of them have them. They have no effect here."""

from __future__ import annotations

IGNORED = frozenset(
    [
        "login",
        "shell",
        "environment_id",
        "interactive",
        "is_input",
        "background",
        "run_in_background",
        "is_background",
        "blocking",
        "description",
        "explanation",
        "justification",
        "reason",
        "summary",
        "title",
        "thought",
        "sandbox",
        "sandbox_permissions",
        "additional_permissions",
        "with_escalated_permissions",
        "dangerouslyDisableSandbox",
        "prefix_rule",
        "security_risk",
        "requires_approval",
        "is_safe",
    ]
)
