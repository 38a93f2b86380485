"""The environment variables of providers: whose key each holds."""

from __future__ import annotations

import pytest

from agent_runtime.providers.provider_variables import key_variables, provider_of_key


@pytest.mark.parametrize(
    ("variable", "provider"),
    [
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("ANTHROPIC_AUTH_TOKEN", "anthropic"),
        ("OPENAI_API_KEY", "openai"),
        ("GEMINI_API_KEY", "google"),
        ("GOOGLE_API_KEY", "google"),
        ("ANTHROPIC_FOUNDRY_AUTH_TOKEN", "foundry"),
    ],
)
def test_every_accepted_variable_belongs_to_a_provider(variable: str, provider: str) -> None:
    assert variable in key_variables()
    assert provider_of_key(variable) == provider
