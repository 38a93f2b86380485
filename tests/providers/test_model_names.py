"""The offered names are the providers' own, and each model is one that the table knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from anthropic.types.model_param import ModelParam
from openai.types.shared.all_models import AllModels

from agent_runtime.acp.options import known_models
from agent_runtime.providers.model_names import MODEL_NAMES
from agent_runtime.providers.models import find_model


def literals(hint: Any) -> Iterator[str]:
    for argument in get_args(hint):
        yield from [argument] if isinstance(argument, str) else literals(argument)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_a_name_is_of_the_vendor_and_in_the_table(name: str) -> None:
    assert name in {*literals(ModelParam), *literals(AllModels)}
    assert find_model(name).exact


def test_models_of_providers_with_a_key_are_offered() -> None:
    assert known_models({}) == []
    assert "gpt-5.5" in known_models({"OPENAI_API_KEY": "k"})
    assert {name.partition("-")[0] for name in known_models({"ANTHROPIC_API_KEY": "k"})} == {"claude"}
